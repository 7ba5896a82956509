# For those who type make; everything is in the scripts.
.PHONY: demo test ci
demo:
	@./demo
test:
	@./test
ci:
	@.ci/run
