# Runs on the target in any POSIX shell. Exit codes are an agreement with session.rs:
# 81 drifted, 82 older release, 83 busy, 84 not prepared (last line: what to do), 85 test failed, 86 reload failed.
set -eu
# A login that is not root's often has no sbin, where nginx is.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
umask 022
root=$1
shift

fail() {
    code=$1
    shift
    printf '%s\n' "$@" >&2
    exit "$code"
}

# The number of the live release, or 0.
current() {
    link=$(readlink "$root/current" 2>/dev/null) || link=
    number_of_link=${link#releases/}
    case $number_of_link in
        '' | *[!0-9]*) echo 0 ;;
        *) echo "$number_of_link" ;;
    esac
}

# Says what differs between the files of a release and its MANIFEST, and fails, if something does.
verify() (
    cd "$1" 2>/dev/null || { echo "the release is missing"; exit 1; }
    [ -f MANIFEST ] || { echo "MANIFEST is missing"; exit 1; }
    if ! found=$(sha256sum -c MANIFEST 2>&1); then
        printf '%s\n' "$found" | grep -v ': OK$' | head -n 5
        exit 1
    fi
    if [ "$(find . ! -type d ! -path ./MANIFEST | sed 's|^\./||' | sort)" != "$(cut -c 67- MANIFEST | sort)" ]; then
        echo "there are files that are not in MANIFEST"
        exit 1
    fi
)

# One deployer at a time changes what is live.
lock() {
    exec 9>"$root/lock"
    flock -w 3 9 || exit 83
}

# A reader sees the old link or the new one, never none.
flip() {
    ln -sfn "releases/$1" "$root/.current"
    mv -T "$root/.current" "$root/current"
}
