package deploy_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"

	"go.yaml.in/yaml/v3"
)

// migrationCode returns the code blocks of a section of docs/migration.md in a
// language.
func migrationCode(t *testing.T, heading, language string) (blocks []string) {
	t.Helper()
	for _, section := range sections(t, "../docs/migration.md") {
		if !strings.HasPrefix(section, heading+"\n") {
			continue
		}
		for _, block := range strings.Split(section, "```"+language+"\n")[1:] {
			code, _, _ := strings.Cut(block, "```")
			blocks = append(blocks, code)
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("got no %s code in section %q", language, heading)
	}
	return blocks
}

// checkConfig checks rules and flags with the exporter.
func checkConfig(t *testing.T, config string, flags ...string) {
	t.Helper()
	path := write(t, "config.yml", config)
	if text, err := output(t, testenv.BuildExporter(t), append(flags, "--config.path", path, "--config.check")...); err != nil {
		t.Errorf("%v: got error %v\n%s\nfor\n%s", flags, err, text, config)
	}
}

func decodeYAML(t *testing.T, text string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
}

// TestOldMetricNames evaluates the recording rules and the query that replace the
// metrics of old dashboards.
func TestOldMetricNames(t *testing.T) {
	promtool := testenv.RequireProgram(t, "promtool")
	dir := t.TempDir()
	rules := migrationCode(t, "Old dashboards", "yaml")[0]
	query := strings.NewReplacer("$processes", ".+", "$host", ".+").Replace(migrationCode(t, "Old dashboards", "promql")[0])
	tests, err := yaml.Marshal(map[string]any{
		"rule_files": []string{"rules.yml"},
		"tests": []any{map[string]any{
			"interval": "1m",
			"input_series": []map[string]string{
				{"series": `namedprocess_namegroup_cpu_seconds_total{instance="a",groupname="db",mode="user"}`, "values": "0+60x20"},
				{"series": `namedprocess_namegroup_cpu_seconds_total{instance="a",groupname="db",mode="system"}`, "values": "0+30x20"},
			},
			"promql_expr_test": []any{
				map[string]any{"expr": query, "eval_time": "20m", "exp_samples": []map[string]any{{"labels": `{groupname="db"}`, "value": 1.5}}},
				map[string]any{
					"expr":      "rate(namedprocess_namegroup_cpu_user_seconds_total[5m]) + rate(namedprocess_namegroup_cpu_system_seconds_total[5m])",
					"eval_time": "20m", "exp_samples": []map[string]any{{"labels": `{groupname="db",instance="a"}`, "value": 1.5}},
				},
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "rules.yml"), rules, 0o600)
	writeFile(t, filepath.Join(dir, "tests.yml"), string(tests), 0o600)
	mustOutput(t, promtool, "check", "rules", filepath.Join(dir, "rules.yml"))
	mustOutput(t, promtool, "test", "rules", filepath.Join(dir, "tests.yml"))
}

var (
	alloyMatcher = regexp.MustCompile("`matcher { name = \"([^\"]+)\" cmdline = \\[\"([^\"]+)\"\\] }`")
	tableFlag    = regexp.MustCompile("(?m)^\\| `\\w+(?: = \\w+)?` \\| `(--[\\w-]+)` \\|$")
)

// TestAlloyExample checks the rule for a matcher, the flags for arguments, and the
// address of the scrape.
func TestAlloyExample(t *testing.T) {
	alloy := migrationCode(t, "Grafana Alloy", "alloy")[0]
	if !strings.HasPrefix(alloy, "prometheus.scrape \"") || !strings.Contains(alloy, `"localhost:9256"`) ||
		strings.Count(alloy, "{") != strings.Count(alloy, "}") {
		t.Errorf("got\n%s\nwant a block that scrapes the default address", alloy)
	}
	page := read(t, "../docs/migration.md")
	matcher := alloyMatcher.FindStringSubmatch(page)
	if matcher == nil {
		t.Fatal("got no block matcher in the text")
	}
	var rules struct {
		Names []struct {
			Name    string
			Cmdline []string
		} `yaml:"process_names"`
	}
	config := migrationCode(t, "Grafana Alloy", "yaml")[0]
	decodeYAML(t, config, &rules)
	if len(rules.Names) != 1 || rules.Names[0].Name != matcher[1] || !slices.Equal(rules.Names[0].Cmdline, matcher[2:]) {
		t.Errorf("got rules %+v, want those of %s", rules, matcher[0])
	}
	var flags []string
	for _, match := range tableFlag.FindAllStringSubmatch(page, -1) {
		flags = append(flags, strings.Replace(match[1], "--procfs", "--procfs=/proc", 1))
	}
	if len(flags) != 5 {
		t.Errorf("got flags %v, want 5", flags)
	}
	checkConfig(t, config, flags...)
}

// TestAnsibleExample checks the variables of the role: the rules in the way in which the
// role writes them, the names of the files, and the flags of its unit.
func TestAnsibleExample(t *testing.T) {
	var plays []struct {
		Hosts string
		Roles []string
		Vars  map[string]string
	}
	decodeYAML(t, migrationCode(t, "Ansible", "yaml")[0], &plays)
	vars := plays[0].Vars
	names, found := strings.CutPrefix(strings.TrimSpace(vars["process_exporter_names"]), "{% raw %}\n")
	names, ends := strings.CutSuffix(names, "\n{% endraw %}")
	if !found || !ends {
		t.Fatalf("got rules %q, want raw text for the templates", vars["process_exporter_names"])
	}
	checkConfig(t, "process_names:\n"+names+"\n", "--web.listen-address=0.0.0.0:9256", "--web.telemetry-path=/metrics")
	url := strings.ReplaceAll(vars["process_exporter_binary_url"], "{{ process_exporter_version }}", vars["process_exporter_version"])
	if want := "/process-exporter-" + changelogVersion(t) + ".linux-amd64.tar.gz"; !strings.HasSuffix(url, want) {
		t.Errorf("got URL %s, want the file %s of a release", url, want)
	}
	if !strings.HasSuffix(vars["process_exporter_checksums_url"], "/checksums.txt") {
		t.Errorf("got URL %s, want the checksums of a release", vars["process_exporter_checksums_url"])
	}
}

// changelogVersion returns the version of the next release.
func changelogVersion(t *testing.T) string {
	t.Helper()
	_, version, _ := strings.Cut(read(t, "../CHANGELOG.md"), "\n## ")
	version, _, _ = strings.Cut(version, " ")
	return version
}

// TestNixExample checks the rules as the JSON file of the module, and the flags.
func TestNixExample(t *testing.T) {
	nix := migrationCode(t, "NixOS", "nix")[0]
	if !strings.Contains(nix, " services.prometheus.exporters.process = {\n") {
		t.Errorf("got\n%s\nwant the options of the module for process exporters", nix)
	}
	list := func(name string) string {
		match := regexp.MustCompile(`(?s)\b` + regexp.QuoteMeta(name) + ` = (\[.*?\n? *\]);\n`).FindStringSubmatch(nix)
		if match == nil {
			t.Fatalf("got no list %s in\n%s", name, nix)
		}
		return match[1]
	}
	text := regexp.MustCompile(`(\w+) = `).ReplaceAllString(list("settings.process_names"), `"$1": `)
	text = regexp.MustCompile(`;\s*}`).ReplaceAllString(text, "}")
	text = strings.ReplaceAll(text, "; ", ", ")
	var rules any
	if err := json.Unmarshal([]byte(text), &rules); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	config, err := json.Marshal(map[string]any{"process_names": rules})
	if err != nil {
		t.Fatal(err)
	}
	flags := strings.Fields(strings.Trim(strings.ReplaceAll(list("extraFlags"), `"`, ""), "[]"))
	checkConfig(t, string(config), append([]string{"--web.listen-address", "0.0.0.0:9256"}, flags...)...)
	if want := "./process-exporter-" + changelogVersion(t) + ".linux-amd64.tar.gz;"; !strings.Contains(nix, want) {
		t.Errorf("got\n%s\nwant the file %s of a release", nix, want)
	}
	unit := read(t, "systemd/process-exporter.service")
	for _, setting := range []string{"AmbientCapabilities", "CapabilityBoundingSet"} {
		own := strings.NewReplacer("[ ", "", " ]", "", `"`, "").Replace(list(setting))
		if !strings.Contains(unit, setting+"="+own+"\n") {
			t.Errorf("got %s %s, want that of the unit", setting, own)
		}
	}
}

// TestComposeExample checks the flags, the image and the privileges of the compose file.
func TestComposeExample(t *testing.T) {
	type service struct {
		Image, Pid, User string
		Command          []string
		NetworkMode      string   `yaml:"network_mode"`
		ReadOnly         bool     `yaml:"read_only"`
		CapDrop          []string `yaml:"cap_drop"`
		CapAdd           []string `yaml:"cap_add"`
		SecurityOpt      []string `yaml:"security_opt"`
		Volumes          []string
	}
	var file struct{ Services map[string]service }
	decodeYAML(t, migrationCode(t, "Docker Compose", "yaml")[0], &file)
	s := file.Services["process-exporter"]
	if want := "/process-exporter:v" + changelogVersion(t); !strings.HasSuffix(s.Image, want) {
		t.Errorf("got image %s, want %s", s.Image, want)
	}
	if len(s.Volumes) != 1 || len(s.Command) == 0 || "--config.path="+strings.Split(s.Volumes[0], ":")[1] != s.Command[0] {
		t.Fatalf("got volumes %v, command %v, want the rules in a volume", s.Volumes, s.Command)
	}
	checkConfig(t, read(t, "systemd/all.yaml"), s.Command[1:]...)
	page := read(t, "../docs/kubernetes.md")
	for _, capability := range s.CapAdd {
		if !strings.Contains(page, "--cap-add="+capability) {
			t.Errorf("got capability %s, want those of the profile full", capability)
		}
	}
	if s.Pid != "host" || len(s.CapAdd) != 2 || !slices.Equal(s.CapDrop, []string{"ALL"}) || !s.ReadOnly {
		t.Errorf("got %+v, want the privileges of the profile full", s)
	}
}
