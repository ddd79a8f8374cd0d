// Package kubernetes_test renders the manifests with helm and kubectl and decodes
// them into the types of Kubernetes.
package kubernetes_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "regenerate the plain manifest")

const chart = "../../helm/process-exporter"

// requireProgram returns the path of a program. If it is not installed, the test is
// skipped, or fails in CI.
func requireProgram(t *testing.T, program string) string {
	t.Helper()
	if cache, err := os.UserCacheDir(); err == nil {
		path := filepath.Join(cache, "process_exporter", "bin", program)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not installed; testdata/prerequisites.sh installs it", program)
	default:
		t.Skipf("%s is not installed; testdata/prerequisites.sh installs it", program)
	}
	return path
}

// run runs a program and returns its standard output.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	command := exec.Command(name, args...)
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &errs)
	}
	return out.String()
}

// render returns the manifests of the chart.
func render(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, requireProgram(t, "helm"), append([]string{"template", "process-exporter", chart, "-n", "monitoring"}, args...)...)
}

func valueFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got files %v, error %v, want some files", files, err)
	}
	return files
}

// decode decodes manifests. A field that Kubernetes does not define is an error, also
// if only the case differs (hostPid instead of hostPID).
func decode(t *testing.T, manifests string) []any {
	t.Helper()
	var all []any
	for document := range strings.SplitSeq(manifests, "\n---") {
		text, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		var kind struct {
			Kind string `json:"kind"`
		}
		if err := json.UnmarshalCaseSensitivePreserveInts(text, &kind); err != nil {
			t.Fatal(err)
		}
		types := map[string]any{
			"DaemonSet": new(appsv1.DaemonSet), "ConfigMap": new(corev1.ConfigMap), "Service": new(corev1.Service),
			"ServiceAccount": new(corev1.ServiceAccount), "Namespace": new(corev1.Namespace), "NetworkPolicy": new(networkingv1.NetworkPolicy),
			"PodMonitor": new(monitoringv1.PodMonitor), "ServiceMonitor": new(monitoringv1.ServiceMonitor), "PrometheusRule": new(monitoringv1.PrometheusRule),
		}
		object := types[kind.Kind]
		switch {
		case object == nil && kind.Kind == "":
			continue
		case object == nil:
			t.Fatalf("got kind %q, want one with a known type", kind.Kind)
		}
		strictErrs, err := json.UnmarshalStrict(text, object)
		if err != nil || len(strictErrs) > 0 {
			t.Errorf("%s: got error %v, unknown fields %v, want none", kind.Kind, err, strictErrs)
		}
		all = append(all, object)
	}
	return all
}

func daemonSet(t *testing.T, manifests string) *appsv1.DaemonSet {
	t.Helper()
	for _, object := range decode(t, manifests) {
		if set, ok := object.(*appsv1.DaemonSet); ok {
			return set
		}
	}
	t.Fatal("got no DaemonSet, want one")
	return nil
}

func TestChart(t *testing.T) {
	helm := requireProgram(t, "helm")
	for _, values := range valueFiles(t) {
		t.Run(filepath.Base(values), func(t *testing.T) {
			run(t, helm, "lint", "--strict", "-f", values, chart)
			if n := len(decode(t, render(t, "-f", values))); n < 3 {
				t.Errorf("got %d objects, want at least 3", n)
			}
		})
	}
}

// TestSchemaErrors checks that the schema of the chart rejects invalid values.
func TestSchemaErrors(t *testing.T) {
	helm := requireProgram(t, "helm")
	for _, value := range []string{"profile=everything", "port.number=0", "bpf.on=true", "hostPID=maybe"} {
		if err := exec.Command(helm, "template", "x", chart, "--set", value).Run(); err == nil {
			t.Errorf("%s: got no error, want one", value)
		}
	}
}

// TestPodSecurity checks that each profile violates exactly the checks of the Pod
// Security level baseline that docs/kubernetes.md documents.
func TestPodSecurity(t *testing.T) {
	tests := []struct {
		values     string
		violations []string
	}{
		{"default", []string{`forbidden AppArmor profile`, `host namespaces`, `hostPath volumes`, `non-default capabilities`}},
		{"bpf", []string{`forbidden AppArmor profile`, `host namespaces`, `hostPath volumes`, `non-default capabilities`, `seccompProfile`}},
		{"basic", []string{`forbidden AppArmor profile`, `host namespaces`, `hostPath volumes`}},
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.values, func(t *testing.T) {
			set := daemonSet(t, render(t, "-f", chart+"/ci/"+tt.values+"-values.yaml"))
			var got []string
			baseline := api.LevelVersion{Level: api.LevelBaseline, Version: api.LatestVersion()}
			for _, result := range evaluator.EvaluatePod(baseline, &set.Spec.Template.ObjectMeta, &set.Spec.Template.Spec) {
				if !result.Allowed {
					got = append(got, result.ForbiddenReason)
				}
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(tt.violations))
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

const plainManifest = "../base/process-exporter.yaml"

// TestPlainManifest compares the manifest for kubectl with the rendered chart.
func TestPlainManifest(t *testing.T) {
	rendered := render(t)
	got, err := os.ReadFile(plainManifest)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(got), "---\n# Source:")
	if !found {
		t.Fatalf("%s: got no part with \"# Source:\", want the rendered chart", plainManifest)
	}
	if *update {
		if err := os.WriteFile(plainManifest, []byte(head+rendered), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(got) != head+rendered {
		t.Errorf("%s is out of date; run make generate", plainManifest)
	}
	decode(t, string(got))
}

// TestKustomize builds the overlays and checks the security contexts.
func TestKustomize(t *testing.T) {
	kubectl := requireProgram(t, "kubectl")
	tests := []struct {
		overlay string
		caps    []corev1.Capability
		user    int64
	}{
		{"../base", []corev1.Capability{"SYS_PTRACE", "DAC_READ_SEARCH"}, 0},
		{"../overlays/bpf", []corev1.Capability{"SYS_PTRACE", "DAC_READ_SEARCH", "BPF", "PERFMON"}, 0},
		{"../overlays/basic", nil, 65534},
	}
	for _, tt := range tests {
		pod := daemonSet(t, run(t, kubectl, "kustomize", tt.overlay)).Spec.Template.Spec
		c := pod.Containers[0].SecurityContext
		user := *pod.SecurityContext.RunAsUser
		if !slices.Equal(c.Capabilities.Add, tt.caps) || user != tt.user {
			t.Errorf("%s: got capabilities %v, user %d, want %v, %d", tt.overlay, c.Capabilities.Add, user, tt.caps, tt.user)
		}
		if !*c.ReadOnlyRootFilesystem || *c.AllowPrivilegeEscalation {
			t.Errorf("%s: got a writable root file system or privilege escalation, want neither", tt.overlay)
		}
	}
}
