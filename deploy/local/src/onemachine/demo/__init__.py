"""The demo: the whole loop for real, by an ordinary contributor through the public HTTP API.

`archives` what is contributed · `contributor` who does it · `platform` where · `board` what is seen meanwhile ·
`outcome` everything seen · `conditions` what must come true · `record` what is written down · `program` the order.
"""
