package grouping

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

const (
	dockerID   = "4a6f2c0de1b34c5a9f00112233445566778899aabbccddeeff00112233445566"
	dockerPath = "/system.slice/docker-" + dockerID + ".scope"
)

// javaProcess returns a process with every identity field.
func javaProcess() *platform.Identity {
	return &platform.Identity{
		ID: platform.ID{PID: 10, Start: 5}, Comm: "java", Args: []string{"java", "-Dtest=x", "-jar", "/opt/shop.jar"},
		EUID: 1001, Username: "shop", Exe: "/usr/lib/jvm/21/bin/java", Ancestors: []string{"sh", "supervisord", "systemd"},
		Cgroups: []string{"/", "/system.slice/shop@1.service"},
	}
}

func containerProcess() *platform.Identity {
	id := javaProcess()
	id.Cgroups = []string{dockerPath}
	return id
}

// lxcProcess returns a process in a container of LXC, whose name is in the path.
func lxcProcess(name string) *platform.Identity {
	id := javaProcess()
	id.Cgroups = []string{"/lxc.payload." + name + "/system.slice/cron.service"}
	return id
}

// userProcess returns a process in a unit of a user's service manager.
func userProcess(unit string) *platform.Identity {
	id := javaProcess()
	id.Cgroups = []string{"/user.slice/user-1000.slice/user@1000.service/app.slice/" + unit}
	return id
}

func unreadableProcess() *platform.Identity {
	return &platform.Identity{ID: platform.ID{PID: 10, Start: 5}, Comm: "java"}
}

func TestSelectorKeys(t *testing.T) {
	tests := []struct {
		name, rule string
		process    *platform.Identity
		want       bool
	}{
		{"user by name", "user: [root, shop]", javaProcess(), true},
		{"user by number", "user: 1001", javaProcess(), true},
		{"another user", "user: [sho, shopp, '100']", javaProcess(), false},
		{"user unreadable", "user: ['0', '']", unreadableProcess(), false},
		{"exe_path", "exe_path: /usr/lib/jvm/21/bin/java", javaProcess(), true},
		{"exe_path pattern", "exe_path: '/usr/lib/jvm/*/bin/java'", javaProcess(), true},
		{"exe_path pattern and a slash", "exe_path: '/usr/lib/*/java'", javaProcess(), false},
		{"exe_path and a bare name", "exe_path: java", javaProcess(), false},
		{"exe_path unreadable", "exe_path: ['*', '']", unreadableProcess(), false},
		{"parent", "ancestor: sh", javaProcess(), true},
		{"third ancestor", "ancestor: [x, systemd]", javaProcess(), true},
		{"the process itself", "ancestor: java", javaProcess(), false},
		{"unit", "unit: shop@1.service", javaProcess(), true},
		{"unit pattern", "unit: 'shop@*.service'", javaProcess(), true},
		{"another unit", "unit: shop.service", javaProcess(), false},
		{"no unit", "unit: '*'", unreadableProcess(), false},
		{"container by prefix", "container: 4a6f2c", containerProcess(), true},
		{"container in upper case", "container: 4A6F2C", containerProcess(), true},
		{"name of LXC in upper case", "container: Cafe", lxcProcess("Cafe-1"), true},
		{"name of LXC in other case", "container: CAFE", lxcProcess("Cafe-1"), false},
		{"any container", "container: '*'", containerProcess(), true},
		{"another container", "container: 4a6f2d", containerProcess(), false},
		{"no container", "container: '*'", javaProcess(), false},
		{"empty container ID", "container: ''", containerProcess(), false},
		{"forged unit", "unit: ['nginx.service', '*.service']", userProcess("nginx.service"), true}, // *.service is user@1000.service
		{"forged unit by name", "unit: nginx.service", userProcess("nginx.service"), false},
		{"unit of a user", "unit: 'user@*.service/nginx.service'", userProcess("nginx.service"), true},
		{"unit of another user", "unit: 'user@1001.service/nginx.service'", userProcess("nginx.service"), false},
		{"any inner unit", "unit: '*/*'", userProcess("nginx.service"), true},
		{"inner pattern, no inner unit", "unit: '*/*'", javaProcess(), false},
		{"forged container", "container: '*'", userProcess("docker-" + dockerID + ".scope"), false},
		{"forged container by ID", "container: 4a6f2c", userProcess("docker-" + dockerID + ".scope"), false},
		{"container of a user", "container: 'user@*.service/4A6F2C'", userProcess("docker-" + dockerID + ".scope"), true},
		{"any container of a user", "container: '*/*'", userProcess("docker-" + dockerID + ".scope"), true},
		{"any inner container, but none", "container: '*/*'", containerProcess(), false},
		{"cgroup", `cgroup: ['^/nothing', '^/system\.slice/']`, javaProcess(), true},
		{"no matching cgroup", "cgroup: '^/user'", javaProcess(), false},
		{"empty cgroup list", "cgroup: []", javaProcess(), false},
		{"one of two selectors", "user: shop\n  ancestor: init", javaProcess(), false},
		{"not comm", "exe: java\n  not: {comm: [x, java]}", javaProcess(), false},
		{"not cmdline, one expression", "exe: java\n  not: {cmdline: ['-Dprod', '-Dtest']}", javaProcess(), false},
		{"not, without match", "exe: java\n  not: {cmdline: ['-Dprod'], user: root}", javaProcess(), true},
		{"not, one of two selectors", "exe: java\n  not: {cmdline: ['-Dprod'], user: shop}", javaProcess(), false},
		{"only not", "not: {user: root}", javaProcess(), true},
		{"not, unreadable", "comm: java\n  not: {user: root}", unreadableProcess(), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustParse(t, "process_names:\n- name: g\n  "+tt.rule+"\n")
			if got := c.Match(tt.process).OK; got != tt.want || len(c.Warnings()) != 0 {
				t.Errorf("got %v and warnings %v, want %v and none", got, c.Warnings(), tt.want)
			}
		})
	}
}

func TestIgnore(t *testing.T) {
	c := mustParse(t, "process_names:\n- {ignore: true, user: shop}\n- {name: g, comm: java}")
	if m := c.Match(javaProcess()); m.OK || m.Rule != c.rules[0] {
		t.Errorf("got %+v, want the first rule to ignore it", m)
	}
	if m := c.Match(unreadableProcess()); !m.OK || m.Group != "g" {
		t.Errorf("got %+v, want group g", m)
	}
}

func TestTemplateFields(t *testing.T) {
	pod := javaProcess()
	pod.Cgroups = []string{"/kubepods.slice/kubepods-burstable.slice/" +
		"kubepods-burstable-pod0a1b2c3d_1111_2222_3333_444455556666.slice/cri-containerd-" + dockerID + ".scope"}
	tests := []struct {
		template, want string
		process        *platform.Identity
	}{
		{"{{.Exe}}", "/usr/lib/jvm/21/bin/java", javaProcess()},
		{"{{.Exe | dirname | basename}}", "bin", javaProcess()},
		{"{{.Unit | trimSuffix \".service\"}} in {{.Slice}}", "shop@1 in system.slice", javaProcess()},
		{"{{.Parent}}", "sh", javaProcess()},
		{"{{.App}}", "shop", javaProcess()},
		{"{{slice .ContainerID 0 12}} {{.ContainerRuntime}}", "4a6f2c0de1b3 docker", containerProcess()},
		{"{{.InnerUnit}} of {{.Unit}}{{.ContainerID}}", "nginx.service of user@1000.service", userProcess("nginx.service")},
		{"{{slice .InnerContainerID 0 12}}", "4a6f2c0de1b3", userProcess("docker-" + dockerID + ".scope")},
		{"{{.PodUID}}", "0a1b2c3d-1111-2222-3333-444455556666", pod},
		{"{{.Username | upper | replace \"SHOP\" \"s\"}}", "s", javaProcess()},
		{"{{.Comm | regexReplace \"[aeiou]\" \"\"}}", "jv", javaProcess()},
		{"{{.PodUID | default .Comm}}", "java", javaProcess()},
		{"{{.Exe}}{{.Unit}}{{.Slice}}{{.ContainerID}}{{.PodUID}}{{.Parent}}.", ".", unreadableProcess()},
	}
	for _, tt := range tests {
		t.Run(tt.template, func(t *testing.T) {
			c := mustParse(t, "process_names:\n- comm: java\n  name: '"+strings.ReplaceAll(tt.template, "'", "''")+"'\n")
			if got := groupOf(c, tt.process); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestCapturesOfCgroups checks that .Matches contains the captures of cgroup, but not those
// of selectors below not.
func TestCapturesOfCgroups(t *testing.T) {
	c := mustParse(t, `process_names:
- name: "{{.Matches.unit}} {{.Matches.jar}}"
  cgroup: '/(?P<unit>[^/@]+)@'
  cmdline: '(?P<jar>\w+)\.jar'
  not: {cmdline: '(?P<jar>prod)|(?P<unit>nothing)'}
`)
	if got := groupOf(c, javaProcess()); got != "shop shop" {
		t.Errorf("got %q, want %q", got, "shop shop")
	}
}

func TestLabelsOfRules(t *testing.T) {
	c := mustParse(t, `process_names:
- {name: a, comm: a, labels: {zone: z1, app: "{{.Comm}}"}}
- {name: b, comm: b, labels: {user: "{{.Username}}"}}
- {name: c, comm: c}
`)
	if got, want := strings.Join(c.LabelNames(), " "), "app user zone"; got != want {
		t.Fatalf("got labels %s, want %s", got, want)
	}
	for comm, want := range map[string]string{"a": "a||z1", "b": "|root|", "c": "||"} {
		id := process(comm)
		id.Username = "root"
		if got := strings.Join(c.Match(id).Labels, "|"); got != want {
			t.Errorf("%s: got labels %q, want %q", comm, got, want)
		}
	}
}

func TestRuleOptionErrors(t *testing.T) {
	tests := []struct {
		name, rule, remedy string
	}{
		{"not without selectors", "not: {comm: }", "not has no selector"},
		{"not with a list", "not: [java]", "write it as not: {comm: [java]}"},
		{"pattern", "unit: 'a['", "bad unit pattern"},
		{"cgroup", "cgroup: '('", `bad cgroup regex "("`},
		{"boolean", "children: 1", `children is "1"; write true or false`},
		{"number", "top: few", "write a number from 0 to 100"},
		{"number too large", "top: 101", "write a number from 0 to 100"},
		{"no groups", "max_groups: 0", "write a number from 1"},
		{"expect with a number", "expect: 3", "write it as expect: {min: 1}"},
		{"expect with a template", "name: '{{.Comm}}'\n  expect: {min: 1}", "name without {{ }}"},
		{"expect without bounds", "expect: {}", "set min, max or listen"},
		{"expect with null bounds", "expect: {min: , max: null}", "set min, max or listen"},
		{"expect with a key of the user only", "expect: {x-note: 1}", "set min, max or listen"},
		{"expect with a label template", "labels: {user: '{{.Username}}'}\n  expect: {min: 1}", "give the label user a value without"},
		{"two expectations of one group", "name: g\n  expect: {min: 1}\n- {name: g, comm: b, expect: {min: 2}}", "that of the rule in line 2"},
		{"min above max", "expect: {min: 3, max: 2}", "above its max"},
		{"negative", "expect: {min: -1}", "write a number from 0"},
		{"labels with a string", "labels: a", "write it as labels:"},
		{"label of the exporter", "labels: {mode: x}", "is reserved"},
		{"label of Prometheus", "labels: {instance: x}", "is reserved"},
		{"label with a dash", "labels: {a-b: x}", "not a valid label name"},
		{"label with underscores", "labels: {__a: x}", "not a valid label name"},
		{"label template", "labels: {a: '{{.'}", "bad label template"},
		{"reserved name", "name: _other", "is reserved"},
		{"function", "name: '{{regexReplace \"(\" \"\" .Comm}}'", "missing closing )"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := "process_names:\n- comm: a\n  " + tt.rule + "\n"
			if !strings.Contains(tt.rule, "name:") {
				text += "  name: g\n"
			}
			c, err := Parse("test.yaml", []byte(text))
			var ce *ConfigError
			if c != nil || !errors.As(err, &ce) || !strings.Contains(ce.Text, tt.remedy) {
				t.Fatalf("got %v, error %v, want %q in it", c, err, tt.remedy)
			}
			if ce.Line < 3 || ce.Column == 0 {
				t.Errorf("got line %d, column %d: %v", ce.Line, ce.Column, err)
			}
		})
	}
}

func TestRuleOptionWarnings(t *testing.T) {
	tests := []struct{ name, rules, want string }{
		{"ignore and name", "- {comm: a, name: x, ignore: true}", "name has no effect"},
		{"ignore and expect", "- {comm: a, ignore: true, expect: {min: 1}}", "expect has no effect"},
		{"bad container ID", "- {name: x, container: web}", "hexadecimal digits"},
		{"template of a label", "- {name: x, comm: a, labels: {l: '{{.Bogus}}'}}", "label template"},
		{"unreachable by comm", "- {name: x, comm: [a, b]}\n- {name: y, comm: b, user: root}", "never reached: the one in line 2"},
		{"unreachable after a rule for all", "- {name: x, cmdline: .*}\n- {name: y, cmdline: java}", "never reached"},
		{"unreachable by an expression", "- {name: x, cmdline: [a]}\n- {name: y, cmdline: [b, a]}", "never reached"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mustParse(t, "process_names:\n"+tt.rules).Warnings()
			if len(got) != 1 || !strings.Contains(got[0].String(), tt.want) || got[0].Column == 0 {
				t.Errorf("got warnings %v, want one with %q", got, tt.want)
			}
		})
	}
}

// TestReachableRules checks that rules after a similar rule yield no warning if they can
// match.
func TestReachableRules(t *testing.T) {
	for _, rules := range []string{
		"- {name: x, comm: a}\n- {name: y, comm: [a, b]}",
		"- {name: x, comm: a, user: root}\n- {name: y, comm: a}",
		"- {name: x, cmdline: .+}\n- {name: y, comm: kthreadd}",
		"- {name: x, cmdline: .+}\n- {name: y, cmdline: ''}",
		"- {name: x, cmdline: .+, not: {user: root}}\n- {name: y, cmdline: .+}",
		"- {name: x, cmdline: [a, b]}\n- {name: y, cmdline: a}",
		"- {name: x, cgroup: a}\n- {name: y, cgroup: [a, b]}",
	} {
		if got := mustParse(t, "process_names:\n"+rules).Warnings(); len(got) != 0 {
			t.Errorf("got warnings %v, want none, of these rules:\n%s", got, rules)
		}
	}
}

func TestExpect(t *testing.T) {
	for text, want := range map[string]Expect{
		"{min: 2}": {Min: 2, Max: -1}, "{max: 3}": {Max: 3}, "{max: 0}": {},
		"{min: 0, max: 9}": {Max: 9}, "{min: 2, max: null}": {Min: 2, Max: -1},
		"{listen: 443}": {Max: -1, Listen: []Port{{sockets.TCP, 443}}},
		"{listen: [udp/53, 80, tcp/53, 80], max: 1}": {Max: 1, Listen: []Port{{sockets.TCP, 53}, {sockets.TCP, 80}, {sockets.UDP, 53}}},
	} {
		c := mustParse(t, "process_names:\n- {name: g, comm: a, expect: "+text+"}")
		if got := c.rules[0].Expect; got == nil || !got.equal(&want) {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

// TestExpectOfSharedGroups checks rules with the same name that can have expect.
func TestExpectOfSharedGroups(t *testing.T) {
	for name, rules := range map[string]string{
		"same bounds":           "- {name: g, comm: a, expect: {min: 1}}\n- {name: g, comm: b, expect: {min: 1}}",
		"one rule with expect":  "- {name: g, comm: a, expect: {min: 1}}\n- {name: g, comm: b}",
		"different labels":      "- {name: g, comm: a, labels: {l: x}, expect: {min: 1}}\n- {name: g, comm: b, labels: {l: y}, expect: {min: 2}}",
		"label of one rule":     "- {name: g, comm: a, expect: {min: 1}}\n- {name: g, comm: b, labels: {l: y}, expect: {min: 2}}",
		"template of the other": "- {name: g, comm: a, expect: {min: 1}}\n- {name: g, comm: b, labels: {l: '{{.Comm}}'}}",
	} {
		if got := mustParse(t, "process_names:\n"+rules).Warnings(); len(got) != 0 {
			t.Errorf("%s: got warnings %v, want none", name, got)
		}
	}
	for name, rules := range map[string]string{
		"different min":       "- {name: g, comm: a, expect: {min: 1}}\n- {name: g, comm: b, expect: {min: 2}}",
		"max of one rule":     "- {name: g, comm: a, expect: {min: 1}}\n- {name: g, comm: b, expect: {min: 1, max: 2}}",
		"with the same label": "- {name: g, comm: a, labels: {l: x}, expect: {min: 1}}\n- {name: g, comm: b, labels: {l: x}, expect: {min: 2}}",
		"with a rule between": "- {name: g, comm: a, expect: {min: 1}}\n- {name: g, comm: c}\n- {name: g, comm: b, expect: {min: 2}}",
		"with an empty label": "- {name: g, comm: a, labels: {l: ''}, expect: {min: 1}}\n- {name: g, comm: b, expect: {min: 2}}",
	} {
		_, err := Parse("test.yaml", []byte("process_names:\n"+rules))
		if err == nil || !strings.Contains(err.Error(), `expect differs from that of the rule in line 2, which has the same group "g"`) {
			t.Errorf("%s: got error %v, want one about different bounds", name, err)
		}
	}
}

// TestReservedName checks that no process can choose a name that puts it into the group
// [OtherName], and that long names stay different.
func TestReservedName(t *testing.T) {
	c := Default()
	if got := groupOf(c, process(OtherName, "x")); got == OtherName || groupOf(c, process("\uFFFD5fother", "x")) == got {
		t.Errorf("got group %q, want one that no other name has", got)
	}
	long := strings.Repeat("a", maxGroupName)
	if groupName(long) != long {
		t.Errorf("got %q for a name of %d bytes, want it unchanged", groupName(long), maxGroupName)
	}
	one, two := groupName(long+"b"), groupName(long+"c")
	if one == two || len(one) > maxGroupName || len(two) > maxGroupName {
		t.Errorf("got names of %d and %d bytes, equal %v, want different ones of at most %d", len(one), len(two), one == two, maxGroupName)
	}
	if again := groupName(one); again == one || len(again) > maxGroupName {
		t.Errorf("got %q for a name that looks truncated, want another one", again)
	}
}
