"""What of the tests of deployment can run here."""

from tests.conftest import GITEA_BIN

# It is started in a real Gitea.
collect_ignore = [] if GITEA_BIN else ["test_compose_on_gitea.py"]
