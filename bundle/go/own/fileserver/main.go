// fileserver serves a folder over HTTP on a loopback address: fileserver ADDRESS FOLDER.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: fileserver ADDRESS FOLDER")
		os.Exit(2)
	}
	host, _, err := net.SplitHostPort(os.Args[1])
	if err != nil || !net.ParseIP(host).IsLoopback() {
		fmt.Fprintf(os.Stderr, "fileserver: %s is no loopback address\n", os.Args[1])
		os.Exit(2)
	}
	server := http.Server{
		Addr:              os.Args[1],
		Handler:           http.FileServer(http.Dir(os.Args[2])),
		ReadHeaderTimeout: 10 * time.Second,
	}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	os.Exit(1)
}
