SELECT category
FROM data
GROUP category
