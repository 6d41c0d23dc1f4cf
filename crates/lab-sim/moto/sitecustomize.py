"""Makes moto's server answer sooner, and never otherwise. Python imports it before moto; lab-sim puts it in its way.

A part that does not fit the installed moto is left out: everything works without, only slower.
"""

import gc
import types


def look_for_services_once():
    """moto lists its own folder at every request to learn which services it has."""
    from moto import backends
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

    modules = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules
    find = DomainDispatcherApplication.get_backend_for_host
    known = {}

    def get_backend_for_host(self, host):
        if host not in known:
            if len(known) > 1000:
                known.clear()
            known[host] = find(self, host)
        return known[host]

    DomainDispatcherApplication.get_backend_for_host = get_backend_for_host


def find_tags_by_id():
    """moto compares the id of every tag with a pattern, for every resource that it filters or shows."""
    from moto.ec2.models.tags import TagBackend

    search = TagBackend.describe_tags

    def describe_tags(self, filters=None):
        ids = (filters or {}).get("resource-id", [])
        if len(ids) != 1 or any(sign in ids[0] for sign in "*?[]\\"):
            return search(self, filters)
        # The pattern is anchored at both ends, so only this id can match.
        tags = self.tags.get(ids[0])
        if not tags:
            return []
        only = types.SimpleNamespace(tags={ids[0]: tags}, VALID_TAG_FILTERS=self.VALID_TAG_FILTERS)
        return search(only, filters)

    TagBackend.describe_tags = describe_tags


def answer_in_one_piece():
    """The server writes an answer in many small pieces, and a line about it to a log that nobody reads."""
    from werkzeug.serving import WSGIRequestHandler

    WSGIRequestHandler.wbufsize = 64 * 1024
    WSGIRequestHandler.log_request = lambda self, code="-", size="-": None


def collect_less():
    """Python looks through all of moto for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


def make_haste():
    for part in (look_for_services_once, find_tags_by_id, answer_in_one_piece, collect_less):
        try:
            part()
        except Exception as error:  # noqa: BLE001
            print(f"lab-sim: {part.__name__}: {error}")


make_haste()
