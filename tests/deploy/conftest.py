from tests.support.apps import app, valkey_app

__all__ = ["app", "valkey_app"]
