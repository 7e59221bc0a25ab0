keep=$1
live=$(current)
cd "$root/releases"
# Numbers above the live one may be a delivery under way.
find . -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' | sed 's|^\./||' | grep -v '[^0-9]' | sort -rn |
    awk -v live="$live" -v keep="$keep" '$1 < live && ++older >= keep' |
    while IFS= read -r number; do
        rm -rf "./$number" "./$number.tested"
    done
for partial in *.partial; do
    number=${partial%.partial}
    case $number in '' | *[!0-9]*) continue ;; esac
    [ "$number" -gt "$live" ] || rm -rf "./$partial"
done
# What rsync leaves when it is killed.
find "$root/live" -type f -name '.*.pem.*' -mmin +60 -exec rm -f {} +
