// What go-ini reads in a file, as a JSON list of {"SECTION KEY": VALUE}.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"gopkg.in/ini.v1"
)

func main() {
	file, err := ini.Load(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	values := []map[string]string{}
	for _, section := range file.Sections() {
		for _, key := range section.Keys() {
			values = append(values, map[string]string{section.Name() + " " + key.Name(): key.Value()})
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(values); err != nil {
		panic(err)
	}
}
