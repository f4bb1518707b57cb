// Writes what Go's expr answers to each line of expressions.txt, as table.jsonl: what keda-rs is held against.
//
//	go run . < expressions.txt > table.jsonl
//
// "plain" is the expression by itself, "keda" the same as a formula of scalingModifiers: cast to a float as upstream casts
// it (apis/keda/v1alpha1/scaledobject_webhook.go), compiled, run once with -1 for everything, then run.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
)

var values = map[string]any{"a": 6.0, "b": 2.5, "c": -3.0, "z": 0.0, "n": nil}

type line struct {
	Expression string  `json:"expression"`
	Plain      outcome `json:"plain"`
	Keda       outcome `json:"keda"`
}

type outcome struct {
	Value   any    `json:"value,omitempty"`
	Refused string `json:"refused,omitempty"`
	Failed  string `json:"failed,omitempty"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for lines.Scan() {
		text := lines.Text()
		if text == "" || strings.HasPrefix(text, "// ") {
			continue
		}
		entry := line{Expression: text, Plain: answer(text, false), Keda: answer(cast(text), true)}
		if err := out.Encode(entry); err != nil {
			panic(err)
		}
	}
}

func cast(formula string) string {
	switch {
	case strings.Contains(formula, "??"):
		return "let _kedaCompositeResult = (" + formula + "); _kedaCompositeResult == nil ? nil : float(_kedaCompositeResult)"
	case strings.HasPrefix(formula, "float("):
		return formula
	}
	return "float(" + formula + ")"
}

func answer(text string, keda bool) outcome {
	environment := map[string]float64{}
	for name := range values {
		environment[name] = -1
	}
	program, err := expr.Compile(text, expr.Env(environment))
	if err != nil {
		return outcome{Refused: first(err)}
	}
	if keda {
		if _, err := expr.Run(program, environment); err != nil {
			return outcome{Refused: first(err)}
		}
	}
	result, err := expr.Run(program, values)
	if err != nil {
		return outcome{Failed: first(err)}
	}
	return outcome{Value: tagged(result)}
}

func first(err error) string {
	return strings.SplitN(err.Error(), "\n", 2)[0]
}

// A value with its type, so that 1 and 1.0 differ.
func tagged(value any) any {
	switch value := value.(type) {
	case nil:
		return "nil"
	case bool:
		return map[string]any{"bool": value}
	case int:
		return map[string]any{"int": value}
	case float64:
		return map[string]any{"float": strconv.FormatFloat(value, 'g', -1, 64)}
	case string:
		return map[string]any{"text": value}
	case []any:
		return list(value)
	case []int:
		return list(value)
	case []float64:
		return list(value)
	case []string:
		return list(value)
	case [][2]any:
		pairs := []any{}
		for _, pair := range value {
			pairs = append(pairs, pair[:])
		}
		return list(pairs)
	case [2]any:
		return list(value[:])
	case map[string]any:
		return entries(value)
	case map[any]any:
		return entries(value)
	}
	rest := fmt.Sprintf("%T", value)
	if rest == "vm.groupBy" || rest == "map[interface {}][]interface {}" {
		return map[string]any{"map": "groups"}
	}
	panic("no tag for " + rest)
}

func list[T any](items []T) any {
	out := []any{}
	for _, item := range items {
		out = append(out, tagged(item))
	}
	return map[string]any{"array": out}
}

func entries[K comparable](items map[K]any) any {
	out := [][2]any{}
	for key, item := range items {
		out = append(out, [2]any{fmt.Sprint(key), tagged(item)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i][0].(string) < out[j][0].(string) })
	return map[string]any{"map": out}
}
