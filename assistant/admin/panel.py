import gradio as gr
def build_admin(app):
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Markdown("secret-admin")
        b = gr.Button("x"); b.click(lambda: None)
    return page
