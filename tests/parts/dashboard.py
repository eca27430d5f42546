"""Optuna's dashboard, served for a moment."""

import threading
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, make_server


class _Silent(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


@contextmanager
def dashboard(run):
    """The URL of the dashboard of a run's study and artifacts."""
    from optuna.artifacts import FileSystemArtifactStore
    from optuna_dashboard import wsgi
    from optuna_dashboard._storage_url import get_storage

    storage = get_storage(str(run.path / "study.journal"))
    app = wsgi(storage, artifact_store=FileSystemArtifactStore(run.path / "artifacts"))
    server = make_server("127.0.0.1", 0, app, handler_class=_Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
