package tui

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// hostile is text that clears the screen, changes the title of the terminal and reverses the direction.
const hostile = "x\x1b[2J\x1b]0;y\x07\u202e"

// fillHostile sets all values below v: texts to hostile, numbers to 1, and slices and maps to one
// element.
func fillHostile(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillHostile(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillHostile(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillHostile(key)
		fillHostile(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(now))
			return
		}
		for i := range v.NumField() {
			fillHostile(v.Field(i))
		}
	default:
		panic("unexpected type " + v.Type().String())
	}
}

// TestHostileReport checks that no text of an exporter reaches the terminal as a control sequence:
// top --url shows what another machine sends.
func TestHostileReport(t *testing.T) {
	for _, keys := range [][]string{nil, {"enter"}, {"p"}, {"/", "x"}} {
		m, f := newModel(200, 200)
		fillHostile(reflect.ValueOf(&f.report).Elem())
		f.report.Exporter.SocketSource = "bpf"
		fillHostile(reflect.ValueOf(&f.processes).Elem())
		m.Update(m.requestReport()())
		press(m, keys...)
		view := m.View()
		for _, sequence := range []string{"\x1b[2J", "\x1b]", "\x07", "\u202e"} {
			if strings.Contains(view, sequence) {
				t.Errorf("%q: got %q in\n%q", keys, sequence, view)
			}
		}
		if !strings.Contains(view, "x") {
			t.Errorf("%q: got %q, want texts of the report", keys, view)
		}
	}
}
