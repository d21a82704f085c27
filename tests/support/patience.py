"""How long tests wait for what is to happen, said in one place.

It ends the wait for what never comes, and says nothing of how long something should take: beside ten other processes
on two cores the start of one of our services was seen to take half a minute.
"""

SECONDS = 180.0
