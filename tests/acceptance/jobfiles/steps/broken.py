x = 1
if x
    result = data
