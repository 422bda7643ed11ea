"""Which commands each role needs; ``deploy/redis/users.acl`` gives exactly these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rqueue.store.keys import every_wake, queue_keys

_SHARED = (
    "client|setname config|get del eval evalsha get hdel hget hgetall hincrby hlen hmget hset "
    "hsetnx info persist pexpire pexpireat ping publish sadd set subscribe time type xadd xdel "
    "xpending xrange zadd zrange zrem zscore"
)
NEEDED: Mapping[str, frozenset[str]] = {
    role: frozenset(commands.split())
    for role, commands in {
        "producer": f"{_SHARED} wait xlen zcard",
        "worker": f"{_SHARED} client|id client|unblock wait xack xgroup|create xgroup|delconsumer "
        "xinfo|consumers xlen xreadgroup zcard hrandfield lpush ltrim",
        "scheduler": f"{_SHARED} lpush lrange ltrim psubscribe smembers xack xgroup|delconsumer "
        "xinfo|consumers zmscore zrangebyscore zrevrange",
        "exporter": "client|setname dbsize hgetall info memory|usage ping scan smembers time "
        "xinfo|groups xlen xpending xrange zcard zcount zrange",
        "admin": f"{_SHARED} lpush lrange ltrim smembers xinfo|groups xlen zcard zcount zmscore "
        "zrevrange",
    }.items()
}
"""Role -> its commands, a subcommand behind a bar."""

# What stands behind the command: as many words as it takes. {key} is a key of the namespace, {wake}
# the pattern that schedulers listen to, which an ACL has to name as it stands.
_ARGUMENTS = {
    "client|id": "", "client|setname": "x", "client|unblock": "1", "config|get": "save",
    "dbsize": "", "scan": "0",
    "eval": "x 1 {key}", "evalsha": "x 1 {key}", "hdel": "{key} f", "hget": "{key} f",
    "hincrby": "{key} f 1", "hmget": "{key} f", "hset": "{key} f v", "hsetnx": "{key} f v",
    "info": "", "lpush": "{key} v", "lrange": "{key} 0 1", "ltrim": "{key} 0 1",
    "pexpire": "{key} 1", "pexpireat": "{key} 1", "ping": "", "psubscribe": "{wake}",
    "publish": "{key} x",
    "sadd": "{key} v", "set": "{key} v", "subscribe": "{key}", "time": "", "wait": "0 1",
    "xack": "{key} g 1-1", "xadd": "{key} * f v", "xdel": "{key} 1-1",
    "xgroup|create": "{key} g 0", "xgroup|delconsumer": "{key} g c",
    "xinfo|consumers": "{key} g", "xinfo|groups": "{key}", "xpending": "{key} g",
    "xrange": "{key} - +", "xreadgroup": "GROUP g c STREAMS {key} >", "zadd": "{key} 1 v",
    "zcount": "{key} 0 1", "zmscore": "{key} v", "zrange": "{key} 0 1",
    "zrangebyscore": "{key} 0 1", "zrem": "{key} v", "zrevrange": "{key} 0 1",
    "zscore": "{key} v",
}  # fmt: skip


def example(command: str, namespace: str) -> Sequence[str]:
    """A command that is whole, as a server wants it that is asked whether it would be allowed.

    Args:
        command: as in ``NEEDED``.
        namespace: where its keys and channels would be.
    """
    written = _ARGUMENTS.get(command, "{key}")
    written = written.replace("{key}", queue_keys(namespace, "doctor").meta)
    written = written.replace("{wake}", every_wake(namespace))
    return [*command.upper().split("|"), *written.split()]
