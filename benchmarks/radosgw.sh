#!/usr/bin/env bash
# A real S3 server for measurements and for the store tests: a one-node Ceph object gateway in memory, on loopback.
# Needs: apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd ceph-common
# Use:   benchmarks/radosgw.sh start DIR [PORT]   (PORT and the one after it; ready in about 13 s; key AKIATEST, secret secretsecret)
#        benchmarks/radosgw.sh stop DIR
# The store tests against it:  BAILIWICK_TEST_S3_ENDPOINT=http://127.0.0.1:5104 uv run pytest -n 0 tests/remote/test_stores.py
# Ceph 16 wants the ETag of If-Match unquoted and ignores conditions when a multipart upload completes.
set -euo pipefail
D=$(realpath -m "$2"); PORT=${3:-5104}; MONITOR=$((PORT + 1))
if [ "$1" = stop ]; then kill $(cat "$D"/run/*.pid) 2>/dev/null || true; exit 0; fi
mkdir -p "$D"/{mon,osd,rgw,run,log}; export CEPH_CONF=$D/ceph.conf
uuid() { cat /proc/sys/kernel/random/uuid; }
cat > "$CEPH_CONF" <<CONF
[global]
fsid = $(uuid)
mon host = 127.0.0.1:$MONITOR
public addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000
osd objectstore = memstore
memstore device bytes = 4294967296
mon data = $D/mon
osd data = $D/osd
run dir = $D/run
admin socket = $D/run/\$name.asok
pid file = $D/run/\$name.pid
log file = $D/log/\$name.log
keyring = $D/keyring
[client.rgw]
rgw data = $D/rgw
rgw gc obj min wait = 2
rgw gc processor period = 2
rgw gc processor max time = 60
rgw frontends = beast endpoint=127.0.0.1:$PORT tcp_nodelay=1
CONF
for name in mon. client.admin client.rgw osd.0; do
  ceph-authtool "$D/keyring" $([ -f "$D/keyring" ] || echo -C) -g -n $name --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
done
monmaptool --create --fsid "$(awk '/^fsid/{print $3; exit}' "$CEPH_CONF")" --add a 127.0.0.1:$MONITOR "$D/monmap" >/dev/null
ceph-mon --mkfs -i a --monmap "$D/monmap" --keyring "$D/keyring"; ceph-mon -i a
osd=$(uuid); ceph osd new "$osd" >/dev/null
ceph-osd -i 0 --mkfs --osd-uuid "$osd"; ceph osd crush add osd.0 1 root=default >/dev/null; ceph-osd -i 0
radosgw-admin user create --uid=t --display-name=t --access-key=AKIATEST --secret=secretsecret >/dev/null
radosgw -n client.rgw
for _ in $(seq 60); do curl -s -o /dev/null "http://127.0.0.1:$PORT/" && { echo "ready on http://127.0.0.1:$PORT"; exit 0; }; sleep 0.5; done
echo "did not come up; see $D/log" >&2; exit 1
