"""What a box does at this moment, in words: last values, lanes as they are driven over, the queue.

Pure: everything is made of an answer of the control verb `live`, as it comes from JSON. What is not
in it is left out, never 0.
"""
