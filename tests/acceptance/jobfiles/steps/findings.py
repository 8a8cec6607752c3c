import socket

for row in dta:
    result = row
