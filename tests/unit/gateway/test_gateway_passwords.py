"""What a stored password costs whoever stole the table."""

from gateway.people.passwords import Passwords


async def test_a_hash_takes_memory_and_time_and_holds_for_its_password_alone() -> None:
    passwords = Passwords(1)
    stored = await passwords.hash("a sentence is easy to remember")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.verify("a sentence is easy to remember", stored) == (True, None)
    assert await passwords.verify("another sentence", stored) == (False, None)
    assert await passwords.verify("another sentence", None) == (False, None)


async def test_a_weaker_hash_is_replaced_when_its_owner_comes() -> None:
    weak = "$argon2id$v=19$m=8,t=1,p=1$qRZP1GIWDodUXvG+ZPOcmA$VUgTK6/I4KI/WyY6ACosSkkor9wsIYDGUEwiDPC1Vv0"
    right, stronger = await Passwords(1).verify("a sentence is easy to remember", weak)
    assert right
    assert stronger is not None
    assert stronger.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
