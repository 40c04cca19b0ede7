"""What the guarded transport has Redis do in one go, and the names of its keys there."""

from config.celery import DEAD, RETURN_LIMIT
from worker.broker.envelopes import LARGEST_BYTES

PREFIX = "payconfirm:taken"
#: Which queues each channel takes from: where to look for what a dead one held.
OWNERS = f"{PREFIX}:owners"

#: How often what came back from dead workers did so, by its SHA-1. What is let go or given up isn't in it any more, and
#: the rest goes when for this long nothing has come back.
RETURNED = f"{PREFIX}:returned"
RETURNED_SECONDS = 24 * 60 * 60

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

#: Take one message of the first queue that has any, and say whether it came back before. It says alive itself: what it
#: takes must be found again. What is too large for a worker is given up without ending one first.
TAKE = (
    _SAY_ALIVE
    + f"""
for i = 4, #ARGV do
  local mine = ARGV[1] .. ':' .. ARGV[2] .. ':' .. ARGV[i]
  local item = redis.call('LMOVE', ARGV[i], mine, 'RIGHT', 'LEFT')
  while item and #item > {LARGEST_BYTES} do
    redis.call('LMOVE', mine, '{DEAD}', 'LEFT', 'LEFT')
    item = redis.call('LMOVE', ARGV[i], mine, 'RIGHT', 'LEFT')
  end
  if item then
    local known = redis.call('EXISTS', '{RETURNED}') == 1
    return {{ARGV[i], item, known and redis.pcall('HEXISTS', '{RETURNED}', redis.sha1hex(item)) or 0}}
  end
end
return false
"""
)

#: Say alive, and give back what the dead ones hold, to the end that is read next; or give up what has come back too
#: often, as whatever ends its worker does. Where it can't be counted it goes back.
KEEP_ALIVE = (
    _SAY_ALIVE
    + f"""
local function back(held, queue)
  local item = redis.call('LINDEX', held, 0)
  if not item then return false end
  local mark = redis.sha1hex(item)
  local times = redis.pcall('HINCRBY', '{RETURNED}', mark, 1)
  if type(times) ~= 'number' or times < {RETURN_LIMIT} then
    return redis.call('LMOVE', held, queue, 'LEFT', 'RIGHT')
  end
  redis.call('HDEL', '{RETURNED}', mark)
  return redis.call('LMOVE', held, '{DEAD}', 'LEFT', 'LEFT')
end
local owners = redis.call('HGETALL', KEYS[1])
for i = 1, #owners, 2 do
  if redis.call('EXISTS', ARGV[1] .. ':alive:' .. owners[i]) == 0 then
    for queue in string.gmatch(owners[i + 1], '%S+') do
      while back(ARGV[1] .. ':' .. owners[i] .. ':' .. queue, queue) do end
    end
    redis.pcall('EXPIRE', '{RETURNED}', {RETURNED_SECONDS})
    redis.call('HDEL', KEYS[1], owners[i])
  end
end
"""
)

#: Give one message back, if it is still held.
PUT_BACK = "if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 then redis.call('RPUSH', KEYS[2], ARGV[1]) end"

#: Give one message up, if it is still held, behind all that were given up before.
GIVE_UP = f"""
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 then
  redis.call('LPUSH', KEYS[2], ARGV[1])
  redis.pcall('HDEL', '{RETURNED}', redis.sha1hex(ARGV[1]))
end
"""

#: ARGV: the largest that is read whole, and how much of what is larger. Of that Redis hashes no more either: half a
#: gigabyte would hold up everybody for seconds.
_FIRST = """
local item = redis.call('LINDEX', KEYS[1], -1)
if not item then return false end
local part = #item > tonumber(ARGV[1]) and string.sub(item, 1, ARGV[2]) or item
local mark = redis.sha1hex(part) .. ':' .. #item
"""

#: Look at what was given up first: its mark, its size, and what is read of it. It only reads.
FIRST_DEAD = _FIRST + "return {mark, #item, part}"

#: Remove it, unless another relay has.
REMOVE_DEAD = _FIRST + "if mark == ARGV[3] then redis.call('RPOP', KEYS[1]) end"
