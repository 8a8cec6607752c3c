print(data)
