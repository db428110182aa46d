"""Search: what was asked, which access path answers it, and how the legs become one answer."""
