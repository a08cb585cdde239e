"""What a technician reads of a running gateway: the verdict, then each part in a few lines.

Pure: everything is made of the answer of the control verb `status`, as it comes from JSON. What is
not in it is left out or called not known, never 0.
"""
