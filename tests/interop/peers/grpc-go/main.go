// The interop server and client on grpc-go, with the command lines of the other peers:
//
//	grpc-go-peer server --port 0              prints `LISTENING <port>`; SIGTERM stops it gracefully
//	grpc-go-peer client --server_port P --test_case ping_pong,...
//
// The client prints `PASS name` or `FAIL name: why` for each case and exits 0 only when all passed.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"google.golang.org/grpc"
)

func main() {
	commands := map[string]func([]string) error{"server": serve, "client": call}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "error: say server or client first")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func serve(arguments []string) error {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	port := flags.Int("port", 0, "the port; 0 takes a free one")
	_ = flags.Parse(arguments)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		return err
	}
	service := new(service)
	server := grpc.NewServer()
	server.RegisterService(service.desc(), nil)
	if service.encoder, err = newEncoder(); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		server.GracefulStop()
	}()
	fmt.Printf("LISTENING %d\n", listener.Addr().(*net.TCPAddr).Port)
	return server.Serve(listener)
}

func call(arguments []string) error {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	host := flags.String("server_host", "127.0.0.1", "the server's host")
	port := flags.Int("server_port", 0, "the server's port")
	names := flags.String("test_case", "large_unary", "the cases, with commas between them")
	target := new(target)
	flags.IntVar(&target.calls, "calls", 1000, "calls or messages of a load")
	flags.IntVar(&target.atOnce, "at_once", 1, "how many of them at a time")
	flags.Float64Var(&target.seconds, "seconds", 1, "how long a load without a number of calls goes on")
	_ = flags.Parse(arguments)
	target.address = fmt.Sprintf("%s:%d", *host, *port)
	failed := 0
	for _, name := range strings.Split(*names, ",") {
		said, err := target.run(name)
		if err != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", name, err)
		} else {
			fmt.Printf("PASS %s: %s\n", name, said)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d failed", failed)
	}
	return nil
}

// run runs one case by its name.
func (t *target) run(name string) (string, error) {
	if load, is := loads[name]; is {
		return load(t)
	}
	body, is := cases[name]
	if !is {
		body, is = edges[name]
	}
	if !is {
		return "", fmt.Errorf("no such case")
	}
	return "", t.session(body)
}
