"""A gRPC server and a gRPC client as anybody would write them, on bytes instead of messages.

peer.py serve                        says its port, and serves until it is killed
peer.py call TARGET CA HOST          calls it through a gateway with TLS, and says what came of it, as JSON
"""

import concurrent.futures
import json
import sys

import grpc

SERVICE = "public.Echo"


def say(request, context):
    context.set_trailing_metadata((("x-after", "all"),))
    told = dict(context.invocation_metadata())
    return request + b" for " + told.get("x-forwarded-host", "nobody").encode()


def refuse(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "there is no " + request.decode())


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def gather(requests, context):
    return b"+".join(requests)


def talk(requests, context):
    context.send_initial_metadata(())
    for request in requests:
        yield request.upper()


def serve():
    handlers = {
        "Say": grpc.unary_unary_rpc_method_handler(say),
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Gather": grpc.stream_unary_rpc_method_handler(gather),
        "Talk": grpc.stream_stream_rpc_method_handler(talk),
    }
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def call(target, authority, host):
    with open(authority, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    options = (("grpc.ssl_target_name_override", host), ("grpc.default_authority", host))
    with grpc.secure_channel(target, credentials, options) as channel:
        path = f"/{SERVICE}/"
        answer, ended = channel.unary_unary(path + "Say").with_call(b"hello", timeout=20)
        result = {"say": answer.decode(), "after": dict(ended.trailing_metadata()).get("x-after")}
        try:
            channel.unary_unary(path + "Refuse")(b"bread", timeout=20)
        except grpc.RpcError as error:
            result["refuse"] = [error.code().name, error.details()]
        result["count"] = [one.decode() for one in channel.unary_stream(path + "Count")(b"5", timeout=20)]
        result["gather"] = channel.stream_unary(path + "Gather")(iter([b"a", b"b", b"c"]), timeout=20).decode()
        result["large"] = len(channel.stream_unary(path + "Gather")(iter([b"x" * 1_000_000] * 3), timeout=20))
        # Each word is said only when the one before has its answer.
        heard = []

        def words():
            for number in range(5):
                yield f"word {number}".encode()
                while len(heard) <= number:
                    pass

        for one in channel.stream_stream(path + "Talk")(words(), timeout=20):
            heard.append(one.decode())
        result["talk"] = heard
        try:
            channel.unary_unary("/private.Echo/Say")(b"hello", timeout=20)
        except grpc.RpcError as error:
            result["private"] = error.code().name
    print(json.dumps(result))


if sys.argv[1] == "serve":
    serve()
else:
    call(*sys.argv[2:])
