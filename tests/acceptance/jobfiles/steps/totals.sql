SELECT category, sum(amount) AS amount
FROM data
GROUP BY category
