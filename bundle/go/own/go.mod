module lab/bundle/own

go 1.24.0
