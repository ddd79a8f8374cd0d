package grouping

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

const (
	dockerID   = "4a6f2c0de1b34c5a9f00112233445566778899aabbccddeeff00112233445566"
	dockerPath = "/system.slice/docker-" + dockerID + ".scope"
)

// known returns a process of which every word is known.
func known() *platform.Identity {
	return &platform.Identity{
		ID: platform.ID{PID: 10, Start: 5}, Comm: "java", Args: []string{"java", "-Dtest=x", "-jar", "/opt/shop.jar"},
		EUID: 1001, Username: "shop", Exe: "/usr/lib/jvm/21/bin/java", Ancestors: []string{"sh", "supervisord", "systemd"},
		Cgroups: []string{"/", "/system.slice/shop@1.service"},
	}
}

func contained() *platform.Identity {
	id := known()
	id.Cgroups = []string{dockerPath}
	return id
}

func unreadable() *platform.Identity {
	return &platform.Identity{ID: platform.ID{PID: 10, Start: 5}, Comm: "java"}
}

func TestNewSelectors(t *testing.T) {
	tests := []struct {
		name, rule string
		process    *platform.Identity
		want       bool
	}{
		{"user by name", "user: [root, shop]", known(), true},
		{"user by number", "user: 1001", known(), true},
		{"another user", "user: [sho, shopp, '100']", known(), false},
		{"user unreadable", "user: ['0', '']", unreadable(), false},
		{"exe_path", "exe_path: /usr/lib/jvm/21/bin/java", known(), true},
		{"exe_path pattern", "exe_path: '/usr/lib/jvm/*/bin/java'", known(), true},
		{"exe_path pattern stops at a slash", "exe_path: '/usr/lib/*/java'", known(), false},
		{"exe_path is no name", "exe_path: java", known(), false},
		{"exe_path unreadable", "exe_path: ['*', '']", unreadable(), false},
		{"parent", "ancestor: sh", known(), true},
		{"far ancestor", "ancestor: [x, systemd]", known(), true},
		{"not an ancestor of itself", "ancestor: java", known(), false},
		{"unit", "unit: shop@1.service", known(), true},
		{"unit pattern", "unit: 'shop@*.service'", known(), true},
		{"another unit", "unit: shop.service", known(), false},
		{"no unit", "unit: '*'", unreadable(), false},
		{"container by prefix", "container: 4a6f2c", contained(), true},
		{"container in capitals", "container: 4A6F2C", contained(), true},
		{"any container", "container: '*'", contained(), true},
		{"another container", "container: 4a6f2d", contained(), false},
		{"no container", "container: '*'", known(), false},
		{"an empty id is none", "container: ''", contained(), false},
		{"cgroup", `cgroup: ['^/nothing', '^/system\.slice/']`, known(), true},
		{"no such cgroup", "cgroup: '^/user'", known(), false},
		{"no cgroup at all", "cgroup: []", known(), false},
		{"all selectors must pass", "user: shop\n  ancestor: init", known(), false},
		{"refused by comm", "exe: java\n  not: {comm: [x, java]}", known(), false},
		{"refused by one of its expressions", "exe: java\n  not: {cmdline: ['-Dprod', '-Dtest']}", known(), false},
		{"not refused", "exe: java\n  not: {cmdline: ['-Dprod'], user: root}", known(), true},
		{"refused by one of two selectors", "exe: java\n  not: {cmdline: ['-Dprod'], user: shop}", known(), false},
		{"refusal alone", "not: {user: root}", known(), true},
		{"what is unknown is not refused", "comm: java\n  not: {user: root}", unreadable(), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustParse(t, "process_names:\n- name: g\n  "+tt.rule+"\n")
			if got := c.Match(tt.process).OK; got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if len(c.Warnings()) != 0 {
				t.Errorf("got warnings %v", c.Warnings())
			}
		})
	}
}

func TestIgnore(t *testing.T) {
	c := mustParse(t, "process_names:\n- {ignore: true, user: shop}\n- {name: g, comm: java}")
	if m := c.Match(known()); m.OK || m.Rule != c.rules[0] {
		t.Errorf("got %+v, want the first rule to ignore it", m)
	}
	if m := c.Match(unreadable()); !m.OK || m.Group != "g" {
		t.Errorf("got %+v, want group g", m)
	}
}

func TestWordsOfTemplates(t *testing.T) {
	pod := known()
	pod.Cgroups = []string{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_1111_2222_3333_444455556666.slice/cri-containerd-" + dockerID + ".scope"}
	tests := []struct {
		template, want string
		process        *platform.Identity
	}{
		{"{{.Exe}}", "/usr/lib/jvm/21/bin/java", known()},
		{"{{.Exe | dirname | basename}}", "bin", known()},
		{"{{.Unit | trimSuffix \".service\"}} in {{.Slice}}", "shop@1 in system.slice", known()},
		{"{{.Parent}}", "sh", known()},
		{"{{.App}}", "shop", known()},
		{"{{slice .ContainerID 0 12}} {{.ContainerRuntime}}", "4a6f2c0de1b3 docker", contained()},
		{"{{.PodUID}}", "0a1b2c3d-1111-2222-3333-444455556666", pod},
		{"{{.Username | upper | replace \"SHOP\" \"s\"}}", "s", known()},
		{"{{.Comm | regexReplace \"[aeiou]\" \"\"}}", "jv", known()},
		{"{{.PodUID | default .Comm}}", "java", known()},
		{"{{.Exe}}{{.Unit}}{{.Slice}}{{.ContainerID}}{{.PodUID}}{{.Parent}}.", ".", unreadable()},
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

// TestCapturesOfCgroups asserts that what expressions on the path capture is in
// .Matches, and what a refusal captures is not.
func TestCapturesOfCgroups(t *testing.T) {
	c := mustParse(t, `process_names:
- name: "{{.Matches.unit}} {{.Matches.jar}}"
  cgroup: '/(?P<unit>[^/@]+)@'
  cmdline: '(?P<jar>\w+)\.jar'
  not: {cmdline: '(?P<jar>prod)|(?P<unit>nothing)'}
`)
	if got := groupOf(c, known()); got != "shop shop" {
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

func TestOptionsRefused(t *testing.T) {
	tests := []struct {
		name, rule, remedy string
	}{
		{"not of nothing", "not: {comm: }", "not refuses nothing"},
		{"not of a list", "not: [java]", "write it as not: {comm: [java]}"},
		{"pattern", "unit: 'a['", "bad unit pattern"},
		{"cgroup", "cgroup: '('", `bad cgroup regex "("`},
		{"switch", "children: 1", `children is "1"; write true or false`},
		{"number", "top: few", "write a number from 0 to 100"},
		{"number too large", "top: 101", "write a number from 0 to 100"},
		{"no groups", "max_groups: 0", "write a number from 1"},
		{"expect of a number", "expect: 3", "write it as expect: {min: 1}"},
		{"expect of a group nobody knows", "name: '{{.Comm}}'\n  expect: {min: 1}", "name without {{ }}"},
		{"min above max", "expect: {min: 3, max: 2}", "above its max"},
		{"negative", "expect: {min: -1}", "write a number from 0"},
		{"labels of a text", "labels: a", "write it as labels:"},
		{"label of a metric", "labels: {mode: x}", "has a meaning already"},
		{"label of Prometheus", "labels: {instance: x}", "has a meaning already"},
		{"label that is none", "labels: {a-b: x}", "no name of a label"},
		{"label with underscores", "labels: {__a: x}", "no name of a label"},
		{"label template", "labels: {a: '{{.'}", "bad label template"},
		{"reserved name", "name: _other", "is taken"},
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

func TestOptionsDoubted(t *testing.T) {
	tests := []struct{ name, rules, want string }{
		{"ignored and named", "- {comm: a, name: x, ignore: true}", "name does nothing"},
		{"expected and ignored", "- {comm: a, ignore: true, expect: {min: 1}}", "expect does nothing"},
		{"no container id", "- {name: x, container: web}", "hexadecimal digits"},
		{"template of a label", "- {name: x, comm: a, labels: {l: '{{.Bogus}}'}}", "label template"},
		{"never reached by name", "- {name: x, comm: [a, b]}\n- {name: y, comm: b, user: root}", "never reached: the one in line 2"},
		{"never reached after all", "- {name: x, cmdline: .*}\n- {name: y, cmdline: java}", "never reached"},
		{"never reached by more expressions", "- {name: x, cmdline: [a]}\n- {name: y, cmdline: [b, a]}", "never reached"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mustParse(t, "process_names:\n"+tt.rules).Warnings()
			if len(got) != 1 || !strings.Contains(got[0].String(), tt.want) || got[0].Column == 0 {
				t.Errorf("got warnings %v, want %q in the only one", got, tt.want)
			}
		})
	}
}

// TestReached has rules that get processes although one before them is like them.
func TestReached(t *testing.T) {
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
			t.Errorf("got warnings %v of\n%s", got, rules)
		}
	}
}

func TestExpect(t *testing.T) {
	for text, want := range map[string]Expect{
		"{}": {1, -1}, "{min: 2}": {2, -1}, "{max: 3}": {1, 3}, "{max: 0}": {0, 0}, "{min: 0, max: 9}": {0, 9},
	} {
		c := mustParse(t, "process_names:\n- {name: g, comm: a, expect: "+text+"}")
		if got := c.rules[0].Expect; got == nil || *got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

// TestReservedName asserts that no process gets into the group of what has no
// room elsewhere by calling itself so, and that long names stay different.
func TestReservedName(t *testing.T) {
	c := Default()
	if got := groupOf(c, process(OtherName, "x")); got == OtherName || groupOf(c, process("\uFFFD5fother", "x")) == got {
		t.Errorf("got group %q", got)
	}
	long := strings.Repeat("a", maxGroupName)
	if groupName(long) != long {
		t.Error("a name of the longest length is cut")
	}
	one, two := groupName(long+"b"), groupName(long+"c")
	if one == two || len(one) > maxGroupName || len(two) > maxGroupName {
		t.Errorf("got names of %d and %d bytes, equal %v", len(one), len(two), one == two)
	}
	if again := groupName(one); again == one || len(again) > maxGroupName {
		t.Error("a name that looks like a cut one takes the group of that")
	}
}
