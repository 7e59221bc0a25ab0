number=$1 previous=$2 manifest=$3
partial=$root/releases/$number.partial
release=$root/releases/$number
live=$(current)
[ "$number" -ge "$live" ] || fail 82 "$live"
# A repeated attempt finds its work done.
if [ -f "$release/MANIFEST" ] && [ "$(sha256sum <"$release/MANIFEST")" = "$manifest  -" ] && verify "$release" >/dev/null; then
    echo present
    exit 0
fi
[ "$number" -gt "$live" ] || fail 82 "$live"
rm -rf "$partial" "$release" "$release.tested"
if [ "$previous" -eq 0 ]; then
    mkdir -p "$partial"
    exit 0
fi
[ -d "$root/releases/$previous" ] || fail 81 "release $previous is missing"
cp -al "$root/releases/$previous" "$partial"
rm -f "$partial/MANIFEST"
while IFS= read -r path; do
    rm -f "$partial/$path"
done
