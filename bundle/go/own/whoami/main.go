// whoami answers every request with the facts of the connection, in the form that traefik/whoami uses: host name,
// addresses, peer, and the request itself.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	port := flag.String("port", env("WHOAMI_PORT_NUMBER", "80"), "the port to listen on")
	name := flag.String("name", os.Getenv("WHOAMI_NAME"), "a name to answer with")
	flag.Parse()
	server := http.Server{
		Addr:              ":" + *port,
		Handler:           handler(*name),
		ReadHeaderTimeout: 10 * time.Second,
	}
	fmt.Printf("Starting up on port %s\n", *port)
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	os.Exit(1)
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func handler(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { answer(w, r, name) })
	return mux
}

func answer(w io.Writer, r *http.Request, name string) {
	if name != "" {
		fmt.Fprintln(w, "Name:", name)
	}
	host, _ := os.Hostname()
	fmt.Fprintln(w, "Hostname:", host)
	for _, ip := range addresses() {
		fmt.Fprintln(w, "IP:", ip)
	}
	fmt.Fprintln(w, "RemoteAddr:", r.RemoteAddr)
	if err := r.Write(w); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
	}
}

func addresses() []net.IP {
	var all []net.IP
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, address := range found {
		if network, ok := address.(*net.IPNet); ok {
			all = append(all, network.IP)
		}
	}
	return all
}
