package strictyaml_test

import (
	"fmt"

	"syncer/strictyaml"
)

// A file that people write is read into a struct, and every problem in it is told at once, with its place.
func ExampleRead() {
	file, err := strictyaml.Read([]byte("listen: ':80'\nworkers: many\nlease: 30s\n"), "service.yaml")
	if err != nil {
		fmt.Println(err)
		return
	}
	var service struct {
		Listen  string `yaml:"listen"`
		Workers int    `yaml:"workers"`
	}
	file.Bind(&service)
	fmt.Println(service.Listen)
	for _, problem := range file.Problems {
		fmt.Println(problem.Error())
	}
	// Output:
	// :80
	// service.yaml:2:10: workers: want a whole number, got "many"
	// service.yaml:3:1: lease: no such key
}
