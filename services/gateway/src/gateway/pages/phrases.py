"""Sentences that the use cases say and pages show: named here so that they enter the catalogues.

A sentence with a value in it (an address, a size) is shown as it was said.
"""


def N_(text: str) -> str:
    """Marks a sentence for translation where it is looked up later."""
    return text


SAID = frozenset(
    {
        N_("Sign in first"),
        N_("This needs an account."),
        N_("Sign in, or send an API token as 'Authorization: Bearer …'."),
        N_("Not here"),
        N_("There is no such dataset, or it is not public."),
        N_("There is no such model, or it is not public."),
        N_("There is no such token, or it is not public."),
        N_("If it is yours, sign in."),
        N_("Not Found"),
        N_("There is no such page."),
        N_("Method Not Allowed"),
        N_("This address does not take that method."),
        N_("From another site"),
        N_("This request was sent by a page of another site."),
        N_("Open the page here and try again."),
        N_("Something broke on our side"),
        N_("Nothing that you sent before is lost."),
        N_("Try again; if it happens again, tell us when it was."),
        N_("This is not an e-mail address."),
        N_("Write it as name@example.org, without spaces."),
        N_("The password is missing."),
        N_("Fill in the password."),
        N_("There is no account with this e-mail address and password."),
        N_("Check both and try again, or sign up."),
        N_("Sign in with it, or sign up with another address."),
        N_("Choose a longer one; a sentence is easy to remember."),
        N_("The password is the e-mail address."),
        N_("Choose another one."),
        N_("Write your name as it should be credited."),
        N_("Name what will use it, e.g. 'laptop'."),
        N_(
            "There is nothing to put right. Data of a kind that the model predicts badly helps it most: "
            "other compositions, temperatures, pressures, surfaces or defects."
        ),
        N_("Look at the frames that failed, correct or leave them out, and upload the dataset again."),
        N_("Correct the labels, and upload the dataset again."),
        N_("Nothing to do: your dataset stays in line for growth, and the numbers say what the model missed."),
        N_("Nothing to do: your dataset is safe. We look into the training on our side."),
        N_("This account is suspended"),
        N_("An operator has suspended it. Your datasets are where they were."),
        N_("Write to whoever runs this site."),
        N_("Rounds and workers cannot be seen or steered just now. Nothing is lost: what trains goes on."),
        N_("Try again in a moment; look whether the registry runs."),
        N_("This site was not told where the registry is."),
        N_("Set POTLUCK_GATEWAY_REGISTRY_ADDRESS and POTLUCK_GATEWAY_REGISTRY_OPERATOR_TOKEN."),
        N_("The operators' token here is not the registry's."),
        N_("Set POTLUCK_REGISTRY_OPERATOR_TOKEN and POTLUCK_GATEWAY_REGISTRY_OPERATOR_TOKEN to the same."),
        N_("The registry refused"),
        N_("Say why: others will read it."),
        N_("Not yourself"),
        N_("Nobody suspends their own account."),
        N_("Somebody was faster: load the page again."),
        N_("Or it is so already: load the page again."),
        N_("There is no such page."),
        N_("Begin with the first page, and follow its links."),
        N_("Running already"),
        N_("This run is being repeated right now."),
        N_("Wait for its result: it appears on the dataset's page."),
        N_("Not judged yet"),
        N_("The check of this dataset has not ended: there is no run to repeat."),
        N_("Wait for the verdict."),
        N_("Enough for now"),
        N_("Each one takes a worker from datasets that wait. Try again later."),
        N_("Not yours"),
        N_("Only who contributed a dataset may have its check repeated."),
        N_("Its reports and its repetitions so far are on its page."),
    }
)
