conf=$1 number=$2
shift 2
[ -d "$root/releases/$number" ] || fail 81 "release $number is missing"
# Beside the original, so that relative paths in it mean the same.
candidate=$(dirname "$conf")/.certmill-candidate-$$.conf
trap 'rm -f "$candidate"' EXIT
trap 'exit 1' HUP INT TERM
live=$(printf %s "$root/current/" | sed 's/[.]/\\./g')
sed "s|$live|$root/releases/$number/|g" "$conf" >"$candidate"
grep -Fq " $root/releases/$number/*.conf" "$candidate" ||
    fail 84 "$conf does not take up certmill's configuration" \
        "put this line into its http block: include $root/current/*.conf;"
said=$("$@" -t -c "$candidate" 2>&1) || fail 85 "$said"
# nginx only warns of a name that two blocks claim. That a newer nginx would rather have a directive written in
# another way is no fault.
warnings() { printf '%s\n' "$1" | grep -F '[warn]' | grep -Fv ' is deprecated' || :; }
told=$(warnings "$said")
if [ -n "$told" ]; then
    # What nginx warns of in the live configuration as well is none of this release's doing.
    before=$(warnings "$("$@" -t -c "$conf" 2>&1 || :)")
    new=$(printf '%s\n' "$told" | grep -Fxv -e "$before" || :)
    [ -z "$new" ] || fail 85 "$said"
fi
: >"$root/releases/$number.tested"
