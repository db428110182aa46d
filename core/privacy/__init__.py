"""Privacy is one door: what is private, what a text gives away, who may get which item in which form.

Pure functions and frozen values, safe from any thread; only ``load_rules`` reads files, and the heavy libraries are
loaded by the first classification.
"""

from __future__ import annotations

from core.privacy.boundaries import (
    CONTROLLED_KINDS,
    DefaultLevel,
    PatternReport,
    PrivacyRules,
    PrivatePattern,
    Sharing,
    SharingControl,
    report,
)
from core.privacy.classification import Classifier
from core.privacy.cleared import Cleared
from core.privacy.configuration import PRIVACY_FILE, load_rules
from core.privacy.decision import (
    EVERY_TEAM,
    Action,
    Audience,
    AudienceKind,
    Considered,
    Decision,
    Purpose,
    Share,
    Subject,
    decide,
    explain,
)
from core.privacy.findings import Confidence, Finding, FindingKind, Summary, summarised
from core.privacy.redaction import Redacted, RedactionRefused, redact
from core.privacy.safe_text import ScrubbingFilter, scrub, scrub_thoroughly, scrubbed_exception

__all__ = [
    "CONTROLLED_KINDS",
    "EVERY_TEAM",
    "PRIVACY_FILE",
    "Action",
    "Audience",
    "AudienceKind",
    "Classifier",
    "Cleared",
    "Confidence",
    "Considered",
    "Decision",
    "DefaultLevel",
    "Finding",
    "FindingKind",
    "PatternReport",
    "PrivacyRules",
    "PrivatePattern",
    "Purpose",
    "Redacted",
    "RedactionRefused",
    "ScrubbingFilter",
    "Share",
    "Sharing",
    "SharingControl",
    "Subject",
    "Summary",
    "decide",
    "explain",
    "load_rules",
    "redact",
    "report",
    "scrub",
    "scrub_thoroughly",
    "scrubbed_exception",
    "summarised",
]
