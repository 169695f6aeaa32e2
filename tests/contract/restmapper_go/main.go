// SPDX-License-Identifier: Apache-2.0

// Asks controller-runtime's own mapper, as every manager does at its start:
// go run . SERVER
package main

import (
	"fmt"
	"net/http"
	"os"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

func main() {
	mapper, err := apiutil.NewDynamicRESTMapper(&rest.Config{Host: os.Args[1]}, http.DefaultClient)
	if err != nil {
		panic(err)
	}
	driver := schema.GroupKind{Group: "x.example.com", Kind: "Driver"}
	for _, versions := range [][]string{{}, {"v1"}, {"v2"}} {
		found, err := mapper.RESTMapping(driver, versions...)
		if err != nil {
			panic(err)
		}
		fmt.Println(found.Resource.Version, found.Resource.Resource, found.Scope.Name())
	}
	pod, err := mapper.KindFor(schema.GroupVersionResource{Resource: "pods", Version: "v1"})
	if err != nil {
		panic(err)
	}
	fmt.Println(pod.Version, pod.Kind)
	_, err = mapper.RESTMapping(schema.GroupKind{Group: "x.example.com", Kind: "Rider"}, "v1")
	fmt.Println("no match:", meta.IsNoMatchError(err))
}
