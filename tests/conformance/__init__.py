# SPDX-License-Identifier: Apache-2.0
"""What the embedded API server is held to: a real kube-apiserver's answers.

`test_embedded` has the recorded conversation again with the embedded server, and
compares status, headers and bytes; `rules` names what may differ and why.
`test_further` asks more than was recorded. `test_original` has the conversation with
a real kube-apiserver: KUBEBUILDER_ASSETS names a directory with the programs etcd and
kube-apiserver, from envtest or built with `go build
k8s.io/kubernetes/cmd/kube-apiserver` and `go build go.etcd.io/etcd/server/v3`.
"""
