#!/bin/sh
# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# make_repository.sh CHECKOUT FOLDER: puts the working copy into a repository, as v1 with a signature and as v2 with
# another interval and without, and leaves in FOLDER its bundle and the key that has signed.
set -eu
checkout=$1 folder=$2

rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
ssh-keygen -q -t ed25519 -N '' -C signer@example.org -f key
echo "signer@example.org $(cat key.pub)" >allowed_signers

# Its own index, so that the checkout's is left alone.
export GIT_DIR="$folder/repository" GIT_CONFIG_GLOBAL=/dev/null
export GIT_AUTHOR_NAME=fleet GIT_AUTHOR_EMAIL=signer@example.org
export GIT_COMMITTER_NAME=fleet GIT_COMMITTER_EMAIL=signer@example.org
git init --quiet --initial-branch=main
git --work-tree="$checkout" add --all
git --work-tree="$checkout" -c gpg.format=ssh -c user.signingKey="$folder/key" commit --quiet --gpg-sign --message 'As it is here'
git tag v1

changed=roles/harden/vars/main.yml
mkdir work
git --work-tree=work checkout --quiet HEAD -- $changed
sed -i 's/client_alive_interval: 30/client_alive_interval: 31/' work/$changed
git --work-tree=work add $changed
git --work-tree=work commit --quiet --message 'Another interval'
git tag v2

git bundle create --quiet bundle --all
