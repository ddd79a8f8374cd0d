package kubernetes_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// object returns the first object of type T in the manifests, whose name ends with
// suffix.
func object[T interface{ GetName() string }](t *testing.T, manifests, suffix string) T {
	t.Helper()
	for _, o := range decode(t, manifests) {
		if found, ok := o.(T); ok && strings.HasSuffix(found.GetName(), suffix) {
			return found
		}
	}
	var none T
	t.Fatalf("got no %T, want one in\n%s", none, manifests)
	return none
}

// renderError returns the error of rendering the chart.
func renderError(t *testing.T, args ...string) string {
	t.Helper()
	var errs bytes.Buffer
	command := exec.Command(requireProgram(t, "helm"), append([]string{"template", "x", chart}, args...)...)
	command.Stderr = &errs
	if err := command.Run(); err == nil {
		t.Errorf("%v: got no error, want one", args)
	}
	return errs.String()
}

// TestKnownValues checks that the list of known values in the templates contains the
// values of values.yaml and no others.
func TestKnownValues(t *testing.T) {
	text, err := os.ReadFile(chart + "/templates/_values.tpl")
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(text), `{{- define "process-exporter.known" -}}`+"\n")
	list, _, _ = strings.Cut(list, "\n{{- end }}")
	if !found {
		t.Fatal("got no list of known values")
	}
	known := strings.Split(list, "\n")
	if !slices.IsSorted(known) {
		t.Error("the list of known values is not sorted")
	}
	text, err = os.ReadFile(chart + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		if slices.Contains(known, path) {
			used[path] = true
			return
		}
		below, isMap := value.(map[string]any)
		if !isMap || len(below) == 0 {
			t.Errorf("%s is in values.yaml, but not in the list of known values", path)
		}
		for key, value := range below {
			walk(strings.TrimPrefix(path+"."+key, "."), value)
		}
	}
	walk("", values)
	for _, path := range known {
		if !used[path] {
			t.Errorf("%s is in the list of known values, but not in values.yaml", path)
		}
	}
}

// TestUnknownValues checks that unknown values, and values of other charts that
// cannot work, are errors that name the fix.
func TestUnknownValues(t *testing.T) {
	tests := []struct{ set, want string }{
		{"hostPid=true", "unknown value hostPid, did you mean hostPID?"},
		{"tolerationss=x", "unknown value tolerationss, did you mean tolerations?"},
		{"resorces.x=1", "unknown value resorces, did you mean resources?"},
		{"afinity.x=1", "unknown value afinity, did you mean affinity?"},
		{"service.prot=1", "unknown value service.prot, did you mean service.port?"},
		{"configMap.name=x", "unknown value configMap, did you mean configmap?"},
		{"config=x", "unknown value config, did you mean configmap.configFile?"},
		{"podMonitor.enabled=true", "unknown value podMonitor, did you mean prometheus.podMonitor?"},
		{"serviceMonitor.additionalLabels.a=b", "unknown value serviceMonitor.additionalLabels, did you mean prometheus.monitor.additionalLabels?"},
		{"templates.x=y", "unknown value templates, did you mean configmap.configFile?"},
		{"something=else", "unknown value something\n"},
		{"groups[0].cmdline=y", "groups and configmap.configFile are both set"},
		{"image.repository=docker.io/ncabatoff/process-exporter", "image.repository: the program in this image does not have the flags"},
		{"service.targetPort=9101", "service.targetPort is 9101, but the exporter listens on port 9256"},
		{"hostUsers=false", "hostUsers: false: Kubernetes refuses it together with hostPID"},
	}
	sets := "groups[0].comm=x,configmap.configFile=x"
	for _, tt := range tests {
		sets += "," + tt.set
	}
	got := renderError(t, "--set", sets) // reports all problems
	for _, tt := range tests {
		if !strings.Contains(got, "\n  "+tt.want) {
			t.Errorf("%s: got error %s, want %q", tt.set, got, tt.want)
		}
	}
	if want := len(tests); strings.Count(got, "\n  ") != want {
		t.Errorf("got error %s, want %d problems", got, want)
	}
}

// TestConfigFile checks the configuration as a mapping, as a text, as the list groups
// and without a value.
func TestConfigFile(t *testing.T) {
	tests := []struct{ name, values, want string }{
		{"mapping", "configmap: {configFile: {process_names: [{name: pg, comm: [postgres]}]}}", "process_names: [{name: pg, comm: [postgres]}]"},
		{"text", "configmap: {configFile: \"# mine\\nprocess_names: [{comm: a}]\"}", "process_names: [{comm: a}]"},
		{"groups", "groups: [{name: '{{.Comm}}', cmdline: ['.+']}]", "process_names: [{name: '{{.Comm}}', cmdline: ['.+']}]"},
		{"default", "{}", "process_names: [{name: '{{with .Pod}}{{$.PodNamespace}}/{{.}}/{{$.ContainerName}}{{else}}{{.Program}}{{end}}', cmdline: ['.+']}]"},
	}
	checksums := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			values := filepath.Join(t.TempDir(), "values.yaml")
			if err := os.WriteFile(values, []byte(tt.values), 0o600); err != nil {
				t.Fatal(err)
			}
			text := render(t, "-f", values)
			var got, want any
			if err := yaml.Unmarshal([]byte(object[*corev1.ConfigMap](t, text, "").Data["config.yml"]), &got); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			checksums[daemonSet(t, text).Spec.Template.Annotations["checksum/config"]] = true
		})
	}
	if len(checksums) != len(tests) {
		t.Errorf("got %d different checksums, want %d: pods restart when the rules change", len(checksums), len(tests))
	}
}

// TestPredecessorValues renders all values of the chart of the predecessor, and checks
// that the manifests contain them.
func TestPredecessorValues(t *testing.T) {
	text := render(t, "-f", chart+"/ci/predecessor-values.yaml")
	pod := daemonSet(t, text).Spec.Template.Spec
	c := pod.Containers[0]
	if c.Ports[0].ContainerPort != 9100 || c.Ports[0].Name != "http" || !slices.Contains(c.Args, "-procfs=/host/proc") ||
		len(c.VolumeMounts) != 3 || c.Env[0].Value != "UTC" || c.LivenessProbe.HTTPGet.Port.IntValue() != 9100 {
		t.Errorf("got container %+v, want port, arguments, environment, volumes and probes of the values", c)
	}
	s := pod.SecurityContext
	if *s.RunAsUser != 65534 || *s.RunAsGroup != 65534 || *s.FSGroup != 65534 || !*s.RunAsNonRoot {
		t.Errorf("got security context %+v, want that of the values", s)
	}
	config := object[*corev1.ConfigMap](t, text, "process-exporter-config").Data["config.yml"]
	if !strings.Contains(config, "name: postgres") {
		t.Errorf("got configuration %s, want that of the values", config)
	}
}

// TestContainerNames checks that the directory of container names is mounted read-only, and
// that containerNames.enabled=false omits it.
func TestContainerNames(t *testing.T) {
	pod := daemonSet(t, render(t)).Spec.Template.Spec
	mounts := pod.Containers[0].VolumeMounts
	i := slices.IndexFunc(mounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/var/log/containers" })
	if i < 0 || !mounts[i].ReadOnly {
		t.Fatalf("got mounts %+v, want /var/log/containers read-only", mounts)
	}
	j := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == mounts[i].Name })
	if j < 0 || pod.Volumes[j].HostPath == nil || pod.Volumes[j].HostPath.Path != "/var/log/containers" {
		t.Errorf("got volumes %+v, want the directory of the host", pod.Volumes)
	}
	if text := render(t, "--set", "containerNames.enabled=false"); strings.Contains(text, "/var/log/containers") {
		t.Errorf("got the directory in\n%s", text)
	}
}

// TestMumoshuValues renders the values of the chart of mumoshu.
func TestMumoshuValues(t *testing.T) {
	text := render(t, "-f", chart+"/ci/mumoshu-values.yaml")
	c := daemonSet(t, text).Spec.Template.Spec.Containers[0]
	if !slices.Contains(c.Args, "--web.listen-address=:9100") || c.VolumeMounts[1].MountPath != "/etc/passwd" {
		t.Errorf("got container %+v, want port 9100 and the volume of the values", c)
	}
	service := object[*corev1.Service](t, text, "")
	if service.Spec.Ports[0].Port != 9100 || service.Annotations["prometheus.io/scrape"] != "true" {
		t.Errorf("got service %+v, want port and annotation of the values", service)
	}
	monitor := object[*monitoringv1.ServiceMonitor](t, text, "")
	if monitor.Spec.Endpoints[0].Interval != "15s" || monitor.Labels["release"] != "prometheus" {
		t.Errorf("got ServiceMonitor %+v, want interval and label of the values", monitor)
	}
}

// TestNodeExporterValues renders values that are named as in the chart of
// node-exporter.
func TestNodeExporterValues(t *testing.T) {
	text := render(t, "-f", chart+"/ci/node-exporter-values.yaml")
	pod := daemonSet(t, text).Spec.Template.Spec
	c := pod.Containers[0]
	if !strings.HasPrefix(c.Image, "registry.example.org/process-exporter:") || len(pod.ImagePullSecrets) != 3 || pod.ImagePullSecrets[1].Name != "two" {
		t.Errorf("got image %s, secrets %v", c.Image, pod.ImagePullSecrets)
	}
	if pod.HostUsers == nil || !*pod.HostUsers || pod.DNSPolicy != corev1.DNSDefault || pod.DNSConfig.Nameservers[0] != "192.0.2.1" {
		t.Errorf("got hostUsers %v, dnsPolicy %v, dnsConfig %v", pod.HostUsers, pod.DNSPolicy, pod.DNSConfig)
	}
	if port := object[*corev1.Service](t, text, "").Spec.Ports[0]; port.Port != 9111 || port.NodePort != 30911 || c.Ports[0].ContainerPort != 9111 {
		t.Errorf("got service port %+v, container port %d, want 9111", port, c.Ports[0].ContainerPort)
	}
	if *pod.SecurityContext.RunAsUser != 1000 || pod.SecurityContext.SeccompProfile == nil || len(c.SecurityContext.Capabilities.Drop) != 0 || !*c.SecurityContext.ReadOnlyRootFilesystem {
		t.Errorf("got %+v, %+v, want the given fields and the others of the profile", pod.SecurityContext, c.SecurityContext)
	}
}

// TestSecurityContext checks the user for combinations of given fields and profiles.
func TestSecurityContext(t *testing.T) {
	tests := []struct {
		set     string
		user    int64
		nonRoot bool
	}{
		{"profile=full", 0, false},
		{"profile=basic", 65534, true},
		{"securityContext.runAsUser=1000", 1000, false},
		{"securityContext.runAsNonRoot=true", 65534, true},
		{"containerSecurityContext.runAsNonRoot=true", 65534, true},
		{"securityContext=null", 0, false},
		{"profile=basic,securityContext.runAsUser=0,securityContext.runAsNonRoot=false", 0, false},
	}
	for _, tt := range tests {
		s := daemonSet(t, render(t, "--set", tt.set)).Spec.Template.Spec.SecurityContext
		if *s.RunAsUser != tt.user || (s.RunAsNonRoot != nil && *s.RunAsNonRoot) != tt.nonRoot {
			t.Errorf("%s: got %+v, want user %d, runAsNonRoot %v", tt.set, s, tt.user, tt.nonRoot)
		}
	}
}

// TestMonitoringObjects checks the rules and dashboards of the chart.
func TestMonitoringObjects(t *testing.T) {
	text := render(t, "-f", chart+"/ci/monitoring-values.yaml")
	var want, got int
	for _, file := range []string{"alerts.yml", "rules.yml"} {
		source, err := os.ReadFile("../../prometheus/" + file)
		if err != nil {
			t.Fatal(err)
		}
		want += strings.Count(string(source), "expr:")
	}
	rules := object[*monitoringv1.PrometheusRule](t, text, "")
	for _, group := range rules.Spec.Groups {
		got += len(group.Rules)
	}
	if got != want || rules.Labels["release"] != "prometheus" {
		t.Errorf("got %d rules with labels %v, want %d with the label of the values", got, rules.Labels, want)
	}
	for _, name := range []string{"overview", "group"} {
		source, err := os.ReadFile("../../grafana/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		configMap := object[*corev1.ConfigMap](t, text, name)
		if got := strings.TrimSpace(configMap.Data["process-exporter-"+name+".json"]); got != strings.TrimSpace(string(source)) {
			t.Errorf("%s: got %d bytes, want the dashboard of %d bytes", name, len(got), len(source))
		}
		if configMap.Labels["grafana_dashboard"] != "1" || configMap.Annotations["grafana_folder"] != "Processes" {
			t.Errorf("%s: got labels %v, annotations %v", name, configMap.Labels, configMap.Annotations)
		}
	}
	renamed := render(t, "-f", chart+"/ci/monitoring-values.yaml", "--set", "fullnameOverride=pe")
	if strings.Contains(renamed, "process[-_]exporter") || !strings.Contains(renamed, `up{job=~"(.*/)?pe"}`) {
		t.Error("got an alert for another job, want the name of this release")
	}
}

// TestPackage checks that a packaged chart contains the rules and dashboards, which
// are links in the repository.
func TestPackage(t *testing.T) {
	dir := t.TempDir()
	run(t, requireProgram(t, "helm"), "package", chart, "-d", dir)
	packages, err := filepath.Glob(dir + "/*.tgz")
	if err != nil || len(packages) != 1 {
		t.Fatalf("got packages %v, error %v, want one", packages, err)
	}
	text := run(t, requireProgram(t, "helm"), "template", "process-exporter", packages[0], "-n", "monitoring", "-f", chart+"/ci/monitoring-values.yaml")
	if text != render(t, "-f", chart+"/ci/monitoring-values.yaml") {
		t.Error("the packaged chart renders other manifests than the directory")
	}
}
