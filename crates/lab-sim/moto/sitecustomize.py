"""Makes moto's server answer sooner, and keep queues' policies. Python imports it before moto; lab-sim puts it in its way.

A part that does not fit the installed moto is left out.
"""

import functools
import gc
import io
import time
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


def list_methods_once():
    """moto lists the methods of a service at every request."""
    from moto.core import responses

    responses.method_names_from_class = functools.lru_cache(maxsize=None)(responses.method_names_from_class)


def keep_connections():
    """The server closes every connection, because a body that nobody read would be taken for the next request. Here the
    front says how long each body is, so it is read in any case."""
    from werkzeug.serving import WSGIRequestHandler

    run, send_header = WSGIRequestHandler.run_wsgi, WSGIRequestHandler.send_header

    def run_wsgi(self):
        stream = self.rfile
        self.rfile = io.BytesIO(stream.read(int(self.headers.get("Content-Length") or 0)))
        try:
            run(self)
        finally:
            self.rfile = stream

    def send_header_but_close(self, name, value):
        if name.lower() != "connection" or "chunked" in self.headers.get("Transfer-Encoding", ""):
            send_header(self, name, value)

    WSGIRequestHandler.run_wsgi, WSGIRequestHandler.send_header = run_wsgi, send_header_but_close


def count_messages_sooner():
    """A queue counts all its messages for each that is sent or received, and reads a slow clock for each that it counts."""
    from moto.sqs import models

    models.unix_time = time.time
    models.unix_time_millis = lambda: time.time() * 1000.0

    def is_kept(self, queue_name, message):
        kept_for = self.get_queue(queue_name).message_retention_period
        return kept_for + message.sent_timestamp / 1000 > time.time()

    models.SQSBackend.is_message_valid_based_on_retention_period = is_kept


def keep_policies():
    """moto forgets a queue's policy when another attribute is set."""
    from moto.sqs.models import Queue

    write = Queue._set_attributes

    def set_attributes(self, attributes, now=None):
        policy = getattr(self, "policy", None)
        write(self, attributes, now)
        if "Policy" not in attributes:
            self.policy = policy

    Queue._set_attributes = set_attributes


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
    parts = [
        look_for_services_once,
        find_tags_by_id,
        list_methods_once,
        keep_connections,
        count_messages_sooner,
        keep_policies,
        answer_in_one_piece,
        collect_less,
    ]
    for part in parts:
        try:
            part()
        except Exception as error:  # noqa: BLE001
            print(f"lab-sim: {part.__name__}: {error}")


make_haste()
