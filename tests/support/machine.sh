# A machine of its own for a test: its own /etc, /usr, /var, /boot and /run over those of this one. Reads commands from its
# standard input. Runs as root, in a mount namespace of its own; the directory is where the machine's files lie.
# What is not as on a real machine: what the packages need is taken from this one, and nothing that they only recommend comes;
# units are started as their user, with their folders and a read-only root, without the rest of systemd's sandbox.
set -euo pipefail
scratch=$1
mount -t tmpfs machine "$scratch"
mkdir "$scratch"/{upper,work,var,varwork,run,boot,bin}
cp -a /etc "$scratch/etc"
rm -rf "$scratch/etc/loaxa"
mount --bind "$scratch/etc" /etc
mount -t overlay overlay -o "lowerdir=/var,upperdir=$scratch/var,workdir=$scratch/varwork" /var
rm -rf /var/lib/loaxa /var/lib/loaxa-central
mount --bind "$scratch/run" /run
mount --bind "$scratch/boot" /boot
mount -t overlay overlay -o "lowerdir=/usr,upperdir=$scratch/upper,workdir=$scratch/work" /usr

# stub NAME: a program of the machine, its text on standard input
stub() {
    { echo '#!/bin/bash' && cat; } >"$scratch/bin/$1"
    chmod 755 "$scratch/bin/$1"
}
stub sudo <<'STUB'
if [ "$1" = -u ]; then exec setpriv --reuid "$2" --regid "$2" --clear-groups "${@:3}"; fi
exec "$@"
STUB
stub apt-get <<'STUB'
exec /usr/bin/apt-get -qq -o APT::Install-Recommends=no -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root "$@"
STUB
stub systemctl <<'STUB'
set -euo pipefail
[ "$1" = start ] && [ $# = 2 ]
unit=/usr/lib/systemd/system/${2%.service}.service
of() { sed -n "s/^$1=//p" "$unit"; }
# Conditions with | are alternatives.
wanted=no met=no
while read -r place; do
    case $place in
    '!'*) [ ! -e "${place#!}" ] || exit 0 ;;
    '|'*) wanted=yes && { [ ! -e "${place#|}" ] || met=yes; } ;;
    *) [ -e "$place" ] || exit 0 ;;
    esac
done < <(of ConditionPathExists)
[ $wanted = $met ] || exit 0
if [ "$(of Type)" = oneshot ]; then
    code=0
    $(of ExecStart) || code=$?
    [ $code != 0 ] || for next in $(of OnSuccess); do "$0" start "$next"; done
    exit $code
fi
user=$(of User)
for folder in /var/lib:StateDirectory /run:RuntimeDirectory; do
    name=$(of "${folder#*:}")
    [ -z "$name" ] || install -d -m 0755 -o "$user" -g "$(of Group)" "${folder%:*}/$name"
done
state=/var/lib/$(of StateDirectory)
export HOME=$state start user state umask groups
start=$(of ExecStart) umask=$(of UMask) groups=$(of SupplementaryGroups)
groups=${groups// /,}
setsid unshare --mount bash -euc '
    mount --bind "$state" "$state"
    for place in /etc /usr /var /; do mount -o remount,bind,ro "$place"; done
    cd /
    umask "$umask"
    privileges=(--clear-groups)
    [ -z "$groups" ] || privileges=(--groups "$groups")
    exec setpriv --reuid "$user" --regid "$user" "${privileges[@]}" \
        --no-new-privs --bounding-set=-all $start
' >>"/run/${2%.service}.log" 2>&1 </dev/null &
echo $! >>/run/pids
STUB
export PATH=$scratch/bin:$PATH
trap 'while read -r pid; do kill -- "-$pid" || true; done 2>/dev/null </run/pids' EXIT
touch /run/pids

while IFS= read -r line; do
    if eval "$line" >"$scratch/said" 2>&1 </dev/null; then code=0; else code=$?; fi
    cat "$scratch/said"
    printf '\n::done %s\n' "$code"
done
