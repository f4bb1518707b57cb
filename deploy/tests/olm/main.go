// Command olm runs the validators of operator-framework/api over bundles: every check of theirs that needs no cluster and no image.
//
// usage: olm BUNDLE...
//
// Several bundles are versions of one package, oldest first: each must replace the one before it.
// Prints what each validator says, one line a finding, and exits 1 when one of them is an error.
package main

import (
	"fmt"
	"os"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"
	errors "github.com/operator-framework/api/pkg/validation/errors"
	interfaces "github.com/operator-framework/api/pkg/validation/interfaces"
)

var validators = interfaces.Validators{
	validation.BundleValidator,
	validation.ClusterServiceVersionValidator,
	validation.CustomResourceDefinitionValidator,
	validation.OperatorHubV2Validator,
	validation.StandardCapabilitiesValidator,
	validation.StandardCategoriesValidator,
	validation.GoodPracticesValidator,
	validation.AlphaDeprecatedAPIsValidator,
	validation.ObjectValidator,
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: olm BUNDLE...")
		os.Exit(2)
	}
	failed := false
	previous := ""
	for _, path := range os.Args[1:] {
		bundle, err := manifests.GetBundleFromDir(path)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
		for _, found := range validators.Validate(bundle.ObjectsToValidate()...) {
			failed = report(path, found) || failed
		}
		if previous != "" && bundle.CSV.Spec.Replaces != previous {
			fmt.Printf("%s: error: replaces %q, not %q\n", path, bundle.CSV.Spec.Replaces, previous)
			failed = true
		}
		previous = bundle.CSV.GetName()
	}
	if failed {
		os.Exit(1)
	}
}

// report prints a validator's findings and says whether one of them is an error.
func report(path string, result errors.ManifestResult) bool {
	for _, it := range result.Errors {
		fmt.Printf("%s: error: %s: %s: %v\n", path, result.Name, it.Field, it.Detail)
	}
	for _, it := range result.Warnings {
		fmt.Printf("%s: warning: %s: %s: %v\n", path, result.Name, it.Field, it.Detail)
	}
	return len(result.Errors) > 0
}
