#!/bin/sh
# Makes in a new Gitea what Kugetsu needs, and writes it into Kugetsu's settings file: runs once, where Gitea's own
# command and database are, as Gitea's account. Run again, it changes nothing.
#
#   GITEA_ADMIN, GITEA_BOT        logins of the first administrator and of the bot
#   GITEA_URL, KUGETSU_URL        under which people and both services reach the two
#   GITEA_API                     under which Gitea is reached from here, where that is another address
#   SETTINGS                      the file to write
#   GITEA                         Gitea's command, where it is not `gitea`
set -eu
umask 077

gitea=${GITEA:-gitea}
: "${GITEA_ADMIN:?}" "${GITEA_BOT:?}" "${GITEA_URL:?}" "${KUGETSU_URL:?}" "${SETTINGS:?}"

if [ -e "$SETTINGS" ]; then
    echo "$SETTINGS is there: nothing to do"
    exit 0
fi

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
make_user() { # login, password, further options
    login=$1 password=$2
    shift 2
    # There already, from a try that did not come to its end: it gets the new password.
    "$gitea" admin user create --username "$login" --password "$password" --email "$login@example.invalid" \
        --must-change-password=false "$@" ||
        "$gitea" admin user change-password --username "$login" --password "$password" --must-change-password=false
}

admin_password=$(random)
make_user "$GITEA_ADMIN" "$admin_password" --admin
make_user "$GITEA_BOT" "$(random)"
# Gitea writes warnings on the same stream, before the token.
token=$("$gitea" admin user generate-access-token --username "$GITEA_BOT" --token-name "kugetsu-$(random | cut -c 1-8)" \
    --raw --scopes write:issue,write:repository,read:user | tail -n 1)
expr "$token" : '[0-9a-f]\{40\}$' >/dev/null || { echo "Gitea gave no token but: $token" >&2; exit 1; }

application=$(curl --silent --show-error --fail --user "$GITEA_ADMIN:$admin_password" \
    --header 'Content-Type: application/json' --data "{\"name\": \"Kugetsu\", \"confidential_client\": true,
        \"redirect_uris\": [\"$KUGETSU_URL/admin/signin/callback\"]}" \
    "${GITEA_API:-$GITEA_URL}/api/v1/user/applications/oauth2")

cat >"$SETTINGS.new" <<TOML
# Written by gitea-init.sh. Delete this file to have it made anew, with a new token.
gitea_url = "$GITEA_URL"
gitea_token = "$token"
webhook_secret = "$(random)"
public_url = "$KUGETSU_URL"
oauth_client_id = "$(echo "$application" | field client_id)"
oauth_client_secret = "$(echo "$application" | field client_secret)"
TOML
mv "$SETTINGS.new" "$SETTINGS"

"$gitea" admin user must-change-password "$GITEA_ADMIN"
echo "Gitea is ready at $GITEA_URL. Sign in as $GITEA_ADMIN with this password, which has to be changed then:"
echo "$admin_password"
echo "Kugetsu works as $GITEA_BOT: make it an administrator among the collaborators of each repository it should work in."
