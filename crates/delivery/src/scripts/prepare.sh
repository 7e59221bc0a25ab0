conf=$1 group=$2
shift 2
for tool in rsync flock sha256sum "$1"; do
    command -v "$tool" >/dev/null 2>&1 ||
        fail 84 "$tool is not on the target, or not in the PATH of its login" "install it there"
done
mkdir -p "$root" 2>/dev/null && mkdir -p "$root/live" "$root/releases" 2>/dev/null && [ -w "$root" ] ||
    fail 84 "the directory $root cannot be made or written" \
        "as root there: install -d -o $(id -un) $root"
if [ -n "$group" ]; then
    chgrp "$group" "$root/live" 2>/dev/null ||
        fail 84 "files cannot be given to the group $group" "as root there: usermod -aG $group $(id -un)"
    chmod 0750 "$root/live"
else
    chmod 0700 "$root/live"
fi
[ -r "$conf" ] || fail 84 "$conf cannot be read" "name nginx's main configuration as nginx_conf, readable for $(id -un)"
sed 's/#.*//' "$conf" | tr -s '[:space:]' ' ' | grep -Fq "include $root/current/*.conf;" ||
    fail 84 "$conf does not take up certmill's configuration" \
        "put this line into its http block: include $root/current/*.conf;"
[ -w "$(dirname "$conf")" ] ||
    fail 84 "a candidate cannot be tested: $(dirname "$conf") is not writable" \
        "let $(id -un) write there, or name an nginx_conf in a directory of its own"
nginx=$("$@" -v 2>&1) || fail 84 "nginx cannot be run: $nginx" "check the nginx command, and sudo's rule for it"
rsync=$(rsync --version | sed -n '1s/^[^0-9]*version \([^ ]*\).*/\1/p')
free_kib=$(df -Pk "$root" | awk 'NR == 2 { print $4 }')
[ "$free_kib" -ge 65536 ] || fail 84 "there are only $free_kib KiB free below $root" "make room: 64 MiB at least"
printf 'nginx=%s\nrsync=%s\nfree_kib=%s\ncurrent=%s\n' "${nginx#*: }" "$rsync" "$free_kib" "$(current)"
