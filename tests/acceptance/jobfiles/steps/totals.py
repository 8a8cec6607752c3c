result = data.groupby("category").sum()
