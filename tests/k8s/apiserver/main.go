// A Kubernetes API server and its etcd in one program, from their Go modules: what the manifests are applied to where no
// cluster is at hand. `apiserver etcd FLAGS` is the store, `apiserver FLAGS` the server; both take their usual flags.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "etcd" {
		etcdmain.Main(os.Args[1:])
		return
	}
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
