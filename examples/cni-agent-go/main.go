// SPDX-License-Identifier: Apache-2.0

// An agent as many are: InClusterConfig, two informers, one line for each change.
// It knows Kubernetes, and nothing of the hub.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

var networks = schema.GroupVersionResource{
	Group: "net.example.org", Version: "v1", Resource: "networks",
}
var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

func told(what string) cache.ResourceEventHandlerFuncs {
	say := func(did string, obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		one := obj.(*unstructured.Unstructured)
		mtu, _, _ := unstructured.NestedInt64(one.Object, "spec", "mtu")
		fmt.Println(what, did, one.GetNamespace(), one.GetName(), mtu)
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { say("added", obj) },
		UpdateFunc: func(_, obj any) { say("changed", obj) },
		DeleteFunc: func(obj any) { say("gone", obj) },
	}
}

func main() {
	config, err := rest.InClusterConfig()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	config.UserAgent = "cni-agent-go/v1"
	client := dynamic.NewForConfigOrDie(config)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	here := func(options *metav1.ListOptions) {
		options.FieldSelector = "spec.nodeName=" + os.Getenv("NODE_NAME")
	}
	all := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	own := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, "", here)
	all.ForResource(networks).Informer().AddEventHandler(told("network"))
	own.ForResource(pods).Informer().AddEventHandler(told("pod"))
	all.Start(ctx.Done())
	own.Start(ctx.Done())
	all.WaitForCacheSync(ctx.Done())
	own.WaitForCacheSync(ctx.Done())
	fmt.Println("synced")
	<-ctx.Done()
}
