package grouping

import "encoding/json"

// schemaID identifies the schema. It is not a URL.
const schemaID = "urn:process_exporter:config"

// Schema returns the JSON schema of the configuration file. Editors use it for completion
// and validation.
func Schema() string {
	defs := map[string]any{}
	for name, keys := range map[string][]ConfigKey{
		"rule": ruleKeys, "not": selectorKeys, "expect": expectKeys, "collectors": collectorKeys(),
	} {
		defs[name] = objectSchema(keys)
	}
	defs["expect"].(map[string]any)["anyOf"] = requireOneOf("min", "max", "listen", "<<")
	root := objectSchema(fileKeys)
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["$id"] = schemaID
	root["title"] = "Configuration of process_exporter"
	root["definitions"] = defs
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // unreachable: every value can be encoded
	}
	return string(text) + "\n"
}

// objectSchema returns the schema of a mapping. Keys that begin with x- are reserved for
// the user.
func objectSchema(keys []ConfigKey) map[string]any {
	properties := map[string]any{}
	for _, k := range keys {
		s := typeSchema(k.Type)
		s["description"] = k.Help
		properties[k.Name] = s
	}
	return map[string]any{
		"type": "object", "properties": properties, "additionalProperties": false,
		"patternProperties": map[string]any{"^x-|^<<$": map[string]any{}},
	}
}

// requireOneOf returns a condition that holds for a mapping with at least one of the keys.
func requireOneOf(keys ...string) []any {
	var required []any
	for _, key := range keys {
		required = append(required, map[string]any{"required": []any{key}})
	}
	return required
}

func typeSchema(kind string) map[string]any {
	scalar := []any{"string", "number", "boolean", "null"}
	switch kind {
	case typeStrings, typeRegexps:
		return map[string]any{"anyOf": []any{
			map[string]any{"type": scalar},
			map[string]any{"type": "array", "items": map[string]any{"type": scalar}},
		}}
	case typeBool:
		return map[string]any{"type": []any{"boolean", "null"}}
	case typeNumber:
		return map[string]any{"type": []any{"integer", "null"}, "minimum": 0}
	case typePorts:
		port := map[string]any{"anyOf": []any{
			map[string]any{"type": "integer", "minimum": 1, "maximum": 65535},
			map[string]any{"type": "string", "pattern": "^((tcp|udp)/)?[0-9]+$"},
		}}
		return map[string]any{"anyOf": []any{port, map[string]any{"type": "array", "items": port}}}
	case typeExpect:
		return reference("expect")
	case typeSwitches:
		return reference("collectors")
	case typeNot:
		return reference("not")
	case typeLabels:
		return map[string]any{"type": []any{"object", "null"}, "propertyNames": map[string]any{"pattern": labelName.String()},
			"additionalProperties": map[string]any{"type": scalar}}
	case typeRules:
		return map[string]any{"type": []any{"array", "null"}, "items": map[string]any{"$ref": "#/definitions/rule"}}
	}
	return map[string]any{"type": scalar}
}

// reference returns a reference to a definition. It wraps $ref in allOf, because draft 7
// ignores other keys next to $ref.
func reference(name string) map[string]any {
	return map[string]any{"allOf": []any{map[string]any{"$ref": "#/definitions/" + name}}}
}
