#!/bin/sh
# Creates .venv with the first suitable Python on the PATH. 3.11 comes first: the image and CI run it.
# PYTHON3=python3.13, or a path, asks for another one.
set -eu

seen=""
for name in ${PYTHON3:-python3.11 python3.12 python3.13 python3.14 python3 python}; do
    # Run it: the shims of version managers are on the PATH for versions that are not there.
    version="$("$name" -c 'import platform, sys
print(platform.python_implementation() + " %d.%d.%d" % sys.version_info[:3])' 2>/dev/null)" || continue
    case "$version" in
    "CPython 3.11."* | "CPython 3.12."* | "CPython 3.13."* | "CPython 3.14."*) ;;
    *)
        seen="$seen; $name is $version"
        continue
        ;;
    esac
    # Debian has these in a package of their own.
    if ! "$name" -c 'import ensurepip, venv' 2>/dev/null; then
        minor="${version#CPython }"
        seen="$seen; $name lacks venv, which is the package python${minor%.*}-venv on Debian and Ubuntu"
        continue
    fi
    echo "Creating .venv with $name ($version)"
    rm -rf .venv # one is left when its Python was uninstalled, with the packages of another version
    "$name" -m venv .venv || { rm -rf .venv; exit 1; }
    exit 0
done
echo "OpenSend needs Python 3.11, 3.12, 3.13 or 3.14 on the PATH${seen}" >&2
exit 1
