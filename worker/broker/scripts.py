"""What the guarded transport has Redis do in one go, and the names of its keys there."""

PREFIX = "payconfirm:taken"
#: Which queues each channel takes from: where to look for what a dead one held.
OWNERS = f"{PREFIX}:owners"

#: There is no such stream. Waiting for it only reads, so that even a Redis that refuses every write lets us wait.
NOTHING = f"{PREFIX}:nothing"

#: ARGV: prefix, owner, seconds, then the queues in the order in which they are read. It begins with a deletion because
#: a full Redis refuses a script's first write if that needs memory, and none of the later ones. What lies in the queues
#: may be what fills it, and then only taking it makes room.
_SAY_ALIVE = """
redis.call('DEL', ARGV[1] .. ':alive:' .. ARGV[2])
redis.call('HSET', KEYS[1], ARGV[2], table.concat(ARGV, ' ', 4))
redis.call('SET', ARGV[1] .. ':alive:' .. ARGV[2], '1', 'EX', ARGV[3])
"""

#: Take one message of the first queue that has any. It says alive itself: what it takes must be found again.
TAKE = (
    _SAY_ALIVE
    + """
for i = 4, #ARGV do
  local item = redis.call('LMOVE', ARGV[i], ARGV[1] .. ':' .. ARGV[2] .. ':' .. ARGV[i], 'RIGHT', 'LEFT')
  if item then return {ARGV[i], item} end
end
return false
"""
)

#: Say alive, and give back what the dead ones hold, to the end that is read next.
KEEP_ALIVE = (
    _SAY_ALIVE
    + """
local owners = redis.call('HGETALL', KEYS[1])
for i = 1, #owners, 2 do
  if redis.call('EXISTS', ARGV[1] .. ':alive:' .. owners[i]) == 0 then
    for queue in string.gmatch(owners[i + 1], '%S+') do
      while redis.call('LMOVE', ARGV[1] .. ':' .. owners[i] .. ':' .. queue, queue, 'LEFT', 'RIGHT') do end
    end
    redis.call('HDEL', KEYS[1], owners[i])
  end
end
"""
)

#: Give one message back, if it is still held.
PUT_BACK = "if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 then redis.call('RPUSH', KEYS[2], ARGV[1]) end"
